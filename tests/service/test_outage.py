"""Kafka goes away while `lorikeet run` is up: the API stays, and all goes on when Kafka is back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from schemas.errors import Code, Unrecoverable
from service.broker import EmbeddedBroker, free_port
from service.supervise import SUPERVISED, KeptBroker
from stores.ledger.delta import DeltaLedgerReader
from tests import processes
from tests.consumers_support import publish_executions
from tests.processes import listening, wait_for, with_path

TOPIC = "execution.completed"


class FlakyBroker(EmbeddedBroker):
    """Has died, and fails to start a number of times."""

    def __init__(self, folder: Path, failures: int) -> None:
        super().__init__(folder, port=9)
        self.failures = failures
        self.starts: list[float] = []
        self.up = False

    def running(self) -> bool:
        return self.up

    def start(self) -> str:
        self.starts.append(time.monotonic())
        if len(self.starts) <= self.failures:
            raise Unrecoverable(Code.BROKER_FAILED, "see its log")
        self.up = True
        return self.bootstrap


def answers(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
        return bool(answer.status == 200)


def rows(config: Path) -> int:
    return len(list(DeltaLedgerReader(config.parent / "data" / "ledger").rows()))


def test_a_supervisor_is_told_whether_trying_again_may_do(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, f"127.0.0.1:{free_port()}")
    for environment, code in (({}, 2), ({SUPERVISED: "1"}, os.EX_TEMPFAIL)):
        done = processes.run("ingest", "--config", str(config), environment=environment)
        assert done.returncode == code
        assert f"lorikeet: {Code.NO_BROKER.number} " in done.stderr
    config.write_text("models: 7\n")
    done = processes.run("ingest", "--config", str(config), environment={SUPERVISED: "1"})
    assert done.returncode == 2, "only a person can mend that"


def test_a_broker_that_died_is_started_again_with_growing_waits(tmp_path: Path) -> None:
    said: list[str] = []
    broker = FlakyBroker(tmp_path, failures=1)
    kept = KeptBroker(broker, said.append)

    def back() -> bool:
        kept.check()
        return broker.up

    begun = time.monotonic()
    wait_for(back, "the broker", 20)
    first, second = broker.starts
    assert 0.9 < first - begun < 1.9
    assert second - first > 1.9
    kept.check()
    assert [line.split(";")[-1].strip() for line in said] == [
        "starting it again in 1 s.",
        "starting it again in 2 s.",
        "The embedded broker is back on 127.0.0.1:9.",
    ]


@pytest.mark.kafka
@pytest.mark.slow
def test_control_ends_when_told_though_its_broker_is_gone(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    config = processes.write_config(tmp_path, broker.start())
    asyncio.run(create_topics(KafkaConnection(broker.bootstrap), "", 1))
    log = tmp_path / "control.log"
    child = processes.start("control", "--config", str(config), log=log)
    try:
        wait_for(lambda: log.exists() and "control.started" in log.read_text(), "the start", 60)
        broker.kill()
        time.sleep(2)
        child.terminate()
        assert child.wait(30) == 0, log.read_text()
    finally:
        child.kill()
        broker.stop()


@pytest.mark.kafka
@pytest.mark.slow
def test_the_api_stays_while_kafka_is_away(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    config = processes.write_config(tmp_path, broker.start())
    tree = yaml.safe_load(config.read_text())
    log, port = tmp_path / "run.log", tree["metrics"]["ingest"]
    child = processes.start("run", "--config", str(config), log=log)
    try:
        wait_for(lambda: log.exists() and "Running." in log.read_text(), "the start", 60)
        wait_for(lambda: listening(port) and listening(tree["api"]["port"]), "its processes", 60)
        broker.kill()
        ingest = next(p for p in with_path("service ingest") if str(config) in command(p))
        os.kill(ingest, signal.SIGKILL)
        wait_for(lambda: temporary_deaths(log) >= 2, "ingest to try in vain, twice", 60)
        assert child.poll() is None, log.read_text()
        assert answers(tree["api"]["port"])
        broker.start()
        asyncio.run(publish_executions(broker.bootstrap, TOPIC, 5))
        wait_for(lambda: rows(config) == 5, "ingest to go on", 60)
        assert child.poll() is None
    finally:
        child.send_signal(signal.SIGINT)
        code = child.wait(60)
        broker.stop()
    assert code == 0, log.read_text()


@pytest.mark.kafka
@pytest.mark.slow
def test_run_starts_its_broker_again(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, None)
    tree = yaml.safe_load(config.read_text())
    log, folder = tmp_path / "run.log", tmp_path / "data" / "broker"
    child = processes.start("run", "--config", str(config), log=log)
    try:
        wait_for(lambda: log.exists() and "Running." in log.read_text(), "the start", 60)
        wait_for(lambda: listening(tree["metrics"]["ingest"]), "ingest", 60)
        bootstrap = f"127.0.0.1:{(folder / 'ports').read_text().split()[0]}"
        asyncio.run(publish_executions(bootstrap, TOPIC, 5))
        (java,) = with_path(str(folder / "server.properties"))
        os.kill(java, signal.SIGKILL)
        wait_for(lambda: f"is back on {bootstrap}" in log.read_text(), "the broker", 60)
        assert "The embedded broker has died; starting it again in 1 s." in log.read_text()
        asyncio.run(publish_executions(bootstrap, TOPIC, 5))
        wait_for(lambda: rows(config) == 10, "ingest to go on", 60)
        assert child.poll() is None
        assert answers(tree["api"]["port"])
    finally:
        child.send_signal(signal.SIGINT)
        code = child.wait(60)
    assert code == 0, log.read_text()
    assert with_path(str(folder)) == []


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def temporary_deaths(log: Path) -> int:
    lines = [line for line in log.read_text().splitlines() if "child.died" in line]
    return sum("ingest" in line and str(os.EX_TEMPFAIL) in line for line in lines)
