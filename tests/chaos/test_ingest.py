"""SIGKILL ingest while events flow: every record has exactly one row."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.durable import LOG
from tests import processes
from tests.support import event, execution

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
EVENTS, KILLS = 20_000, 10
_RATE = 900.0


class Flow(threading.Thread):
    """Publishes events at a steady rate, some of them broken; counts what was acknowledged."""

    def __init__(self, bootstrap: str, topic: str, total: int) -> None:
        super().__init__(daemon=True)
        self._broker = bootstrap
        self._topic = topic
        self._total = total
        self.sent = 0

    def run(self) -> None:
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._broker, enable_idempotence=True)
        await producer.start()
        try:
            while self.sent < self._total:
                size = min(90, self._total - self.sent)
                await asyncio.gather(
                    *[
                        await producer.send(self._topic, self._value(self.sent + i))
                        for i in range(size)
                    ]
                )
                self.sent += size
                await asyncio.sleep(size / _RATE)
        finally:
            await producer.stop()

    def _value(self, number: int) -> bytes:
        if number % 50 == 7:
            return b"{not json"
        same = number - 1 if number % 40 == 11 else number
        body = event("execution.completed", execution(execution_id=f"run-{same}"), id=f"e-{same}")
        return json.dumps(body).encode()


async def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
        return {tp.partition: o for tp, o in (await consumer.end_offsets(partitions)).items()}
    finally:
        await consumer.stop()


def _lag(bootstrap: str, topic: str, ledger: Path) -> int:
    known = {int(k.rsplit(":", 1)[1]): o for k, o in _offsets(ledger, topic).items()}
    ends = asyncio.run(_ends(bootstrap, topic))
    return sum(end - known.get(partition, 0) for partition, end in ends.items())


def _offsets(ledger: Path, topic: str) -> dict[str, int]:
    if not (ledger / LOG).exists():
        return {}
    found = DeltaLedgerReader(ledger).offsets()
    return {key: offset for key, offset in found.items() if f":{topic}:" in key}


def _start(config: Path, folder: Path) -> subprocess.Popen[bytes]:
    return processes.start("ingest", "--config", str(config), log=folder / "ingest.log")


def test_ten_kills_leave_one_row_for_every_record(tmp_path: Path, broker: str, prefix: str) -> None:
    topic = f"{prefix}execution.completed"
    config = processes.write_config(
        tmp_path,
        broker,
        kafka={"prefix": prefix},
        ingest={"member_id": "one", "flush_rows": 500, "flush_seconds": 0.3},
    )
    ledger = tmp_path / "data" / "ledger"
    flow = Flow(broker, topic, EVENTS)
    flow.start()
    dice = random.Random(7)
    lags: list[int] = []
    child = _start(config, tmp_path)
    try:
        for _ in range(KILLS):
            before = sum(_offsets(ledger, topic).values())
            processes.wait_for(lambda: sum(_offsets(ledger, topic).values()) > before, "progress")
            threading.Event().wait(dice.uniform(0.0, 0.6))
            lags.append(_lag(broker, topic, ledger))
            child.send_signal(signal.SIGKILL)
            child.wait()
            child = _start(config, tmp_path)
        flow.join(120)
        assert flow.sent == EVENTS
        processes.wait_for(lambda: not _lag(broker, topic, ledger), "ingest catches up", 120)
    finally:
        processes.end(child)
    print(f"lag at each kill: {lags}")
    assert len(lags) == KILLS
    assert min(lags) > 0, "a kill counts only if work was open"
    _assert_one_row_each(ledger, asyncio.run(_ends(broker, topic)))


def _assert_one_row_each(ledger: Path, ends: dict[int, int]) -> None:
    columns = ["partition", "offset", "disposition", "id", "error_code"]
    rows: list[dict[str, Any]] = DeltaLedgerReader(ledger).table(columns).to_pylist()
    places = Counter((row["partition"], row["offset"]) for row in rows)
    wanted = {(p, o) for p, end in ends.items() for o in range(end)}
    assert places.keys() == wanted, "no record is missing"
    assert set(places.values()) == {1}, "no record is doubled"
    counts = Counter(row["disposition"] for row in rows)
    print(f"rows: {dict(counts)}")
    assert sum(counts.values()) == EVENTS
    assert counts["dead_letter"] == EVENTS // 50
    accepted = Counter(
        (row["partition"], row["id"]) for row in rows if row["disposition"] == "accepted"
    )
    assert set(accepted.values()) == {1}, "a repeated event is accepted once in its partition"
