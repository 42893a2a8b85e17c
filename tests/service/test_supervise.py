"""Supervised children: restarted with back-off, ended with their parent, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from schemas.errors import Code, Unrecoverable
from service.supervise import Child, Supervisor
from tests import processes
from tests.processes import listening, with_path


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_dead_child_is_started_again_and_waits_longer_each_time(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"import time; open({str(marks)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    supervisor = Supervisor(tmp_path / "logs")
    supervisor.add(Child("short", python(code)))

    def starts() -> list[float]:
        return [float(x) for x in marks.read_text().split()] if marks.exists() else []

    deadline = time.monotonic() + 20
    while len(starts()) < 3 and time.monotonic() < deadline:
        supervisor.check()
        time.sleep(0.02)
    supervisor.stop()
    first, second, third = starts()[:3]
    assert second - first > 0.9
    assert third - second > 1.8


def test_a_users_mistake_stops_everything_with_its_line(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    supervisor.add(Child("good", python("import time; time.sleep(60)")))
    pid = supervisor.pid("good")
    supervisor.add(Child("bad", python("print('E7101 oops'); raise SystemExit(2)")))
    with pytest.raises(Unrecoverable) as caught:
        processes.wait_for(supervisor.check, "the mistake", 10)
    assert caught.value.code is Code.CHILD_DIES
    assert "bad: E7101 oops" in caught.value.detail
    supervisor.stop()
    assert pid is not None
    assert not alive(pid)


def test_a_child_that_ignores_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.supervise._STOP_SECONDS", 0.5)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    supervisor = Supervisor(tmp_path / "logs")
    supervisor.add(Child("stubborn", python(code)))
    pid = supervisor.pid("stubborn")
    log = tmp_path / "logs" / "stubborn.log"
    processes.wait_for(lambda: "on" in log.read_text(), "its start", 10)
    supervisor.stop()
    assert pid is not None
    assert not alive(pid)


@pytest.mark.kafka
def test_dev_broker_stops_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    child = processes.start(
        "dev", "broker", "--folder", str(tmp_path / "broker"), log=tmp_path / "log"
    )
    log = tmp_path / "log"
    processes.wait_for(lambda: "Kafka listens on" in log.read_text(), "the broker", 60)
    port = int(log.read_text().split("127.0.0.1:")[1].split(".")[0])
    assert listening(port)
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 0
    assert not listening(port)
    assert with_path(str(tmp_path / "broker")) == []


@pytest.mark.kafka
def test_a_broker_ends_even_when_its_parent_is_killed(tmp_path: Path) -> None:
    child = processes.start(
        "dev", "broker", "--folder", str(tmp_path / "broker"), log=tmp_path / "log"
    )
    log = tmp_path / "log"
    processes.wait_for(lambda: "Kafka listens on" in log.read_text(), "the broker", 60)
    child.kill()
    child.wait()
    processes.wait_for(lambda: not with_path(str(tmp_path / "broker")), "its end", 20)


@pytest.mark.kafka
@pytest.mark.slow
def test_run_starts_everything_restarts_what_dies_and_leaves_nothing(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, None)
    tree = yaml.safe_load(config.read_text())
    log = tmp_path / "run.log"
    child = processes.start("run", "--config", str(config), log=log)
    try:
        processes.wait_for(lambda: "Running." in log.read_text(), "the start", 60)
        ports = [tree["api"]["port"], *tree["metrics"].values()]
        processes.wait_for(lambda: all(map(listening, ports)), "every page", 60)
        victim = with_path("service worker")[0]
        assert str(config) in Path(f"/proc/{victim}/cmdline").read_text()
        os.kill(victim, signal.SIGKILL)
        processes.wait_for(
            lambda: any(pid != victim for pid in with_path("service worker")), "a new worker", 30
        )
    finally:
        child.send_signal(signal.SIGINT)
        code = child.wait(60)
    assert code == 0, log.read_text()
    assert with_path(str(config)) == []
    assert with_path(str(tmp_path / "data" / "broker")) == []
    assert not any(map(listening, ports))


@pytest.mark.kafka
def test_the_stream_side_runs_where_torch_is_not_installed(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Ingest, control, API and status with torch, transformers and peft out of reach."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Blocker:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'transformers', 'peft', 'trl'):\n"
        "            raise ImportError(f'{name} is not installed here')\n"
        "sys.meta_path.insert(0, Blocker())\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{processes.ROOT}"}
    blocked = subprocess.run(
        [sys.executable, "-c", "import torch"],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
    )
    assert blocked.returncode != 0, "the blocker works"
    config = processes.write_config(
        tmp_path, broker, kafka={"prefix": prefix}, models=[{"name": "m"}]
    )
    tree = yaml.safe_load(config.read_text())
    names = ("ingest", "control", "api", "worker")
    children = [
        processes.start(name, "--config", str(config), log=tmp_path / f"{name}.log", **environment)
        for name in names
    ]
    try:
        ports = [tree["api"]["port"], *tree["metrics"].values()]
        processes.wait_for(lambda: all(map(listening, ports)), "every page", 60)
        assert all(child.poll() is None for child in children)
    finally:
        processes.end(*children)
    shown = processes.run("status", "--config", str(config), environment=environment)
    assert shown.returncode == 0, shown.stderr
