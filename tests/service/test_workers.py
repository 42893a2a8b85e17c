"""Ingest as several processes: a share each, restarted when one dies, ended together."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import uuid
from collections import Counter
from pathlib import Path

import httpx
import pytest

from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from schemas.errors import Code, Halted, Unrecoverable
from service.broker import free_port
from service.cli.run import children
from service.settings import Settings, load
from service.supervise import Child, Supervisor
from service.workers import ingest_children
from stores.ledger.delta import DeltaLedgerReader
from tests import processes
from tests.consumers_support import publish_executions
from tests.processes import listening, wait_for, with_path

ASSIGNED = "lorikeet_ingest_assigned_partitions"


def two_ports() -> int:
    """The first of two ports in a row that are free."""
    while True:
        port = free_port()
        if port < 65_000 and not listening(port + 1):
            return port


def settings(**changes: dict[str, object]) -> Settings:
    return Settings.model_validate({"kafka": {"bootstrap": "h:1"}, **changes})


def test_workers_have_names_ports_and_members_of_their_own() -> None:
    found = ingest_children(settings(ingest={"workers": 3, "member_id": "a"}), ["--data", "d"])
    assert [child.name for child in found] == ["ingest-0", "ingest-1", "ingest-2"]
    ports = [child.environment["LORIKEET_METRICS__INGEST"] for child in found]
    assert ports == ["9464", "9465", "9466"], "the defaults leave room"
    for number, child in enumerate(found):
        assert list(child.command[-8:]) == [
            *("service", "ingest", "--data", "d"),
            *("--workers", "1", "--member-id", f"a-{number}"),
        ]


def test_run_supervises_as_many_as_the_settings_say() -> None:
    names = [child.name for child in children(settings(ingest={"workers": 2}), None)]
    assert names == ["ingest-0", "ingest-1", "control", "api", "worker"]
    names = [child.name for child in children(settings(), None)]
    assert names == ["ingest", "control", "api", "worker"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metrics": {"ingest": 9000, "control": 9001}}, "port 9001, which is metrics.control"),
        ({"metrics": {"ingest": 9000, "worker": 9001}}, "port 9001, which is metrics.worker"),
        ({"metrics": {"ingest": 8899}}, "port 8900, which is api.port"),
        ({"metrics": {"ingest": 65535}}, "port 65536, which does not exist"),
    ],
)
def test_ports_that_collide_are_refused(changes: dict[str, dict[str, object]], said: str) -> None:
    with pytest.raises(Unrecoverable) as caught:
        ingest_children(settings(ingest={"workers": 2}, **changes), [])
    assert caught.value.code is Code.BAD_SETTINGS
    assert "metrics.ingest" in caught.value.detail
    assert said in caught.value.detail


def test_a_guard_in_one_worker_ends_all_with_its_line(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / "logs")
    code = "print('lorikeet: E7000 halted'); raise SystemExit(3)"
    supervisor.add(Child("ingest-1", [sys.executable, "-c", code]))
    with pytest.raises(Halted) as caught:
        wait_for(supervisor.check, "its end", 20)
    assert "ingest-1: lorikeet: E7000 halted" in str(caught.value)
    supervisor.stop()


def test_a_mistake_ends_the_parent_of_workers_with_its_line(tmp_path: Path) -> None:
    config = processes.write_config(tmp_path, None, metrics={"ingest": two_ports()})
    done = processes.run("ingest", "--config", str(config), "--workers", "2")
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    said = f"lorikeet: {Code.NO_BROKER.number} no Kafka broker answers: none is configured"
    assert line.startswith(said), "as the worker said it"
    assert with_path(str(config)) == []


def assigned(port: int) -> int:
    """Partitions that a worker's page says it reads; -1 without a page."""
    try:
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text
    except httpx.HTTPError:
        return -1
    found = re.search(rf"^{ASSIGNED} (\d+)", page, re.MULTILINE)
    return int(float(found.group(1))) if found else -1


@pytest.mark.kafka
def test_two_workers_share_four_partitions_and_outlive_a_kill(tmp_path: Path, broker: str) -> None:
    prefix, port = f"t{uuid.uuid4().hex[:8]}.", two_ports()
    asyncio.run(create_topics(KafkaConnection(broker), prefix, 4))
    config = processes.write_config(
        tmp_path,
        broker,
        kafka={"prefix": prefix},
        ingest={"flush_seconds": 0.2, "session_timeout_ms": 6000, "heartbeat_ms": 300},
        metrics={"ingest": port},
    )
    ledger, log = load(config).places.ledger, tmp_path / "log"
    topic = f"{prefix}execution.completed"
    arguments = ("ingest", "--config", str(config), "--workers", "2", "--member-id", "m")
    parent = processes.start(*arguments, log=log)

    def counted() -> int:
        return len(list(DeltaLedgerReader(ledger).rows()))

    try:
        wait_for(lambda: assigned(port) == assigned(port + 1) == 10, "a half each of 20", 60)
        asyncio.run(publish_executions(broker, topic, 200))
        wait_for(lambda: counted() == 200, "the first rows", 30)
        (victim,) = with_path("--member-id m-1")
        os.kill(victim, signal.SIGKILL)
        asyncio.run(publish_executions(broker, topic, 200))
        wait_for(lambda: counted() == 400, "the rest", 60)
        (back,) = wait_for(lambda: with_path("--member-id m-1"), "the worker again", 30)
        assert back != victim
        assert parent.poll() is None
    finally:
        parent.terminate()
        code = parent.wait(30)
    assert code == 0, log.read_text()
    assert with_path(str(config)) == []
    rows = list(DeltaLedgerReader(ledger).rows())
    places = [(row.topic, row.partition, row.offset) for row in rows]
    assert len(places) == len(set(places)) == 400
    assert len(Counter(row.partition for row in rows)) == 4
    said = log.read_text()
    for number in range(2):
        page = f"metrics http://127.0.0.1:{port + number}/metrics"
        assert re.search(rf"ingest-{number}: process \d+, {page}, log .*ingest-{number}.log", said)
