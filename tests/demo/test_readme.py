"""Every command of the README runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from operations.move_rollout import Move
from operations.settings import ModelSettings
from processors.rollout.decide import Action
from service.broker import free_port
from service.settings import load
from stores.control.database import Database, sqlite_url
from tests import installation, processes
from tests.demo.conftest import Demonstration
from tests.imports.samples import chat, chat_lines
from tests.processes import ROOT

pytestmark = [pytest.mark.demo, pytest.mark.kafka, pytest.mark.slow]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
BY_OTHERS = {
    "make demo": "tests/demo/test_demo.py",  # with arguments that give it a folder of its own
    "make test": ".ci/run",
}
HOST = "localhost:9092"
ROLLOUT = "ID"


def commands(start: str) -> list[str]:
    return [command for command in COMMANDS if command.startswith(start)]


def bash(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as a person would type it, in an activated environment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_command_is_left_out() -> None:
    """What the tests below pick out, together with what others run, is all there is."""
    mine = [c for c in COMMANDS if c.startswith(("lorikeet ", ". .venv/bin/activate"))]
    assert sorted([*mine, *BY_OTHERS]) == sorted(COMMANDS)
    for command, file in BY_OTHERS.items():
        assert command.split() == re.findall(r"\bmake\b|\bdemo\b|\btest\b", command)
        assert command in (ROOT / file).read_text()


def test_make_in_passing_names_targets_that_exist() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", README))
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(re.search(rf"^{target} ", listed, re.MULTILINE) for target in targets)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_what_a_demonstration_left_can_be_looked_at(kept: Demonstration, tmp_path: Path) -> None:
    (tmp_path / ".lorikeet").mkdir()
    (tmp_path / ".lorikeet" / "demo").symlink_to(kept.data)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    looking = [command for command in COMMANDS if ".lorikeet/demo" in command]
    assert len(looking) >= 4
    for command in [". .venv/bin/activate && command -v lorikeet", *looking]:
        done = bash(command, tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with the README's settings."""
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "lorikeet.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def running(folder: Path, broker: str) -> Iterator[Path]:
    """The folder, `lorikeet run` as the README has it, on the tests' broker and free ports."""
    tree = yaml.safe_load((folder / "lorikeet.yaml").read_text())
    names = ("ingest", "control", "worker")
    tree["metrics"] = {name: free_port() for name in names}
    tree["api"] = {"port": free_port()}
    (folder / "lorikeet.yaml").write_text(yaml.safe_dump(tree))
    for command in [*commands("lorikeet config check"), *commands("lorikeet dev topics")]:
        done = bash(command.replace(HOST, broker), folder)
        assert done.returncode == 0, done.stderr
    (run,) = commands("lorikeet run")
    words = run.replace(HOST, broker).split()[1:]
    with (folder / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{tree['api']['port']}/health"
        processes.wait_for(lambda: answers(url), f"the API; see {folder}/run.log")
        yield folder
    finally:
        processes.end(process)
    assert process.returncode == 0, (folder / "run.log").read_text()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def received(folder: Path) -> int:
    done = bash("lorikeet status --json", folder)
    return int(json.loads(done.stdout)["records"]["received"])


def test_with_your_own_kafka(running: Path, broker: str) -> None:
    (command,) = commands("lorikeet import")
    (running / "traces.jsonl").write_bytes(b"".join(chat_lines(chat(id="1"), chat(id="2"))))
    before = received(running)
    done = bash(command.replace(HOST, broker), running)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    processes.wait_for(lambda: received(running) >= before + 2, "two rows")


def test_at_any_time_with_kafka_up_or_down(folder: Path) -> None:
    """Against a control database in which a version serves and another is in its canary."""
    settings = load(folder / "lorikeet.yaml", data=folder / "lorikeet-data")
    settings.places.check()
    (model,) = settings.models
    rollout = prepared(settings.places.data, model)
    for command in (
        "lorikeet status",
        *commands("lorikeet rollouts abort"),
        *commands("lorikeet models rollback"),
    ):
        assert command in COMMANDS
        done = bash(command.replace(f" {ROLLOUT}", f" {rollout}"), folder)
        assert (done.returncode, done.stderr) == (0, ""), command


def test_the_command_named_in_the_text_is_there(folder: Path) -> None:
    settings = load(folder / "lorikeet.yaml", data=folder / "lorikeet-data")
    settings.places.check()
    rollout = prepared(settings.places.data, settings.models[0])
    (command,) = re.findall(r"`(lorikeet rollouts promote ID)`", README)
    done = bash(command.replace(f" {ROLLOUT}", f" {rollout[:12]}"), folder)
    assert done.returncode == 2
    assert "E7607" in done.stderr, "no evidence, no promotion"


def prepared(data: Path, model: ModelSettings) -> str:
    """The id of a roll-out in its canary, after another one was promoted."""
    store = Database(sqlite_url(data / "control.db"))

    def work(connection: Any) -> str:
        first = installation.canary(connection, "1.0.0", model)
        chosen = installation.decision(Action.PROMOTE)
        Move.of(connection, first, chosen, installation.NOW, installation.ACTOR).promote()
        return installation.canary(connection, "1.1.0", model).id

    return store.write(work)
