"""A real Prometheus with the committed configuration scrapes the four real processes."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from service.broker import free_port
from service.settings import load
from tests.docker.files import DOCKER, PROMETHEUS, panels, rules
from tests.processes import ROOT, end, start, wait_for, write_config

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
PROCESSES = ("ingest", "control", "api", "worker")
INTERVAL = 5.0


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs: Prometheus' address, and each process's page."""

    url: str
    pages: dict[str, str]

    def get(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def by_process(self, expression: str) -> dict[str, float]:
        result = self.get("query", query=expression)["result"]
        return {found["metric"]["process"]: float(found["value"][1]) for found in result}


@pytest.fixture(scope="session")
def program(need_tool: Callable[[str], str]) -> str:
    return need_tool("prometheus")


@pytest.fixture(scope="module")
def stack(program: str, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("scraped")
    prefix = f"t{uuid.uuid4().hex[:8]}."
    asyncio.run(create_topics(KafkaConnection(broker), prefix, 2))
    config = write_config(
        folder, broker, kafka={"prefix": prefix}, ingest={"group": f"{prefix}ingest"}
    )
    ports = _ports(config)
    running = [
        start(name, "--config", str(config), log=folder / f"{name}.log") for name in PROCESSES
    ]
    try:
        listen = f"127.0.0.1:{free_port()}"
        running.append(_prometheus(program, folder, ports, listen))
        stack = Stack(f"http://{listen}", {n: f"http://127.0.0.1:{p}" for n, p in ports.items()})
        wait_for(lambda: _answers(f"{stack.url}/-/ready"), "Prometheus answers")
        wait_for(lambda: _all_up(stack), "all processes are up")
        yield stack
    finally:
        end(*running)


def _ports(config: Path) -> dict[str, int]:
    settings = load(config)
    metrics = settings.metrics
    return {
        "ingest": metrics.ingest,
        "control": metrics.control,
        "api": settings.api.port,
        "worker": metrics.worker,
    }


def _prometheus(
    program: str, folder: Path, ports: dict[str, int], listen: str
) -> subprocess.Popen[bytes]:
    """Prometheus on a copy of the committed folder, in which nothing but the targets differ."""
    shutil.copytree(PROMETHEUS, folder / "prometheus")
    shutil.rmtree(folder / "prometheus" / "targets")
    (folder / "prometheus" / "targets").mkdir()
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"process": name}}
        for name, port in ports.items()
    ]
    (folder / "prometheus" / "targets" / "test.json").write_text(json.dumps(targets))
    with (folder / "prometheus.log").open("ab") as log:
        return subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus' / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'series'}",
                f"--web.listen-address={listen}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def _all_up(stack: Stack) -> bool:
    return stack.by_process('up{job="lorikeet"}') == dict.fromkeys(PROCESSES, 1.0)


def test_every_process_is_up(stack: Stack) -> None:
    assert _all_up(stack)
    assert len(stack.get("targets", state="active")["activeTargets"]) == len(PROCESSES)


def test_samples_are_fresh_and_stay_so(stack: Stack) -> None:
    age = stack.by_process("time() - timestamp(lorikeet_build_info)")
    assert age.keys() == set(PROCESSES)
    assert max(age.values()) < 2 * INTERVAL
    first = stack.by_process("timestamp(lorikeet_build_info)")

    def newer() -> bool:
        now = stack.by_process("timestamp(lorikeet_build_info)")
        return all(now[name] > first[name] for name in PROCESSES)

    wait_for(newer, "the next sample of each process", 3 * INTERVAL)


def test_a_process_is_named_once(stack: Stack) -> None:
    found = stack.get("query", query="lorikeet_build_info")["result"]
    assert all("exported_process" not in series["metric"] for series in found)


def test_rules_are_evaluated_and_nothing_fires(stack: Stack) -> None:
    def evaluated() -> list[dict[str, Any]]:
        found = [rule for group in stack.get("rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else []

    found = wait_for(evaluated, "every rule is evaluated", 30.0)
    assert {rule["name"] for rule in found} == {r.get("record") or r["alert"] for r in rules()}
    assert {rule["health"] for rule in found} == {"ok"}
    assert not [rule["name"] for rule in found if rule.get("state") == "firing"]


def test_every_panel_asks_what_prometheus_understands(stack: Stack) -> None:
    places = {"$__rate_interval": "1m", "$__range": "1h", "$tenant": ".*", "$model": ".*"}
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for place, value in places.items():
                expression = expression.replace(place, value)
            stack.get("query", query=expression)


def test_health_checks_tell_up_from_down(stack: Stack) -> None:
    pages = {name: f"{url}/metrics" for name, url in stack.pages.items()}
    pages["api"] = f"{stack.pages['api']}/health"
    for name, page in pages.items():
        assert _healthy(page) == 0, name
    assert _healthy(f"{stack.pages['api']}/no-such-page") == 1
    assert _healthy(f"http://127.0.0.1:{free_port()}/metrics") == 1


def _healthy(url: str) -> int:
    command = [sys.executable, str(DOCKER / "healthy.py"), url]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_smoke_run_sees_what_is_up_and_what_is_missing(stack: Stack) -> None:
    assert _check(stack, *PROCESSES).returncode == 0
    missing = _check(stack, *PROCESSES, "gateway")
    assert missing.returncode == 1
    assert "'ingest': 'up'" in missing.stderr


def _check(stack: Stack, *processes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DOCKER / "smoke" / "check.py"), "--seconds=0"]
    command += [f"--prometheus={stack.url}", "targets", *processes]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
