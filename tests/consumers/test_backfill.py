"""Reading a part of the topics: where it begins, where it ends, into which ledger."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.bounds import resolve
from consumers.kafka import input_topics
from producers.connection import KafkaConnection
from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger.delta import DeltaLedgerReader
from tests import processes
from tests.consumers_support import QUICK, built, publish, structured
from tests.support import execution

pytestmark = pytest.mark.kafka
T0 = datetime(2026, 3, 1, tzinfo=UTC)


async def ten_days(broker: str, prefix: str) -> str:
    """One event a day on partition 0, by Kafka's timestamp."""
    topic = f"{prefix}execution.completed"
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=broker)
    await producer.start()
    for day in range(10):
        value, _ = structured("execution.completed", execution())
        stamp = int((T0 + timedelta(days=day)).timestamp() * 1000)
        await producer.send_and_wait(topic, value, partition=0, timestamp_ms=stamp)
    await producer.stop()
    return topic


async def read(broker: str, prefix: str, ledger: Path, start: str | None, until: str) -> list[int]:
    topics = input_topics(prefix)
    bounds = await resolve(KafkaConnection(broker), topics, start, until)
    loop = await built(broker, prefix, ledger, bounds=bounds)
    await asyncio.wait_for(loop.run(asyncio.Event()), 30)
    return sorted(row.offset for row in DeltaLedgerReader(ledger).rows())


@pytest.mark.parametrize(
    ("start", "until", "offsets"),
    [
        (None, "now", range(10)),
        ("beginning", "2026-03-05T00:00:00Z", range(4)),
        ("2026-03-03T12:00:00+00:00", "now", range(3, 10)),
        ("{file}", "2026-03-09T00:00:00Z", range(2, 8)),
        ("2030-01-01T00:00:00Z", "now", range(0)),
    ],
)
def test_a_range(
    tmp_path: Path, broker: str, prefix: str, start: str | None, until: str, offsets: range
) -> None:
    async def main() -> list[int]:
        topic = await ten_days(broker, prefix)
        file = tmp_path / "from.json"
        file.write_text(json.dumps({f"{topic}:0": 2}))
        return await read(broker, prefix, tmp_path / "l", start and start.format(file=file), until)

    assert asyncio.run(main()) == list(offsets)


def test_it_goes_on_where_the_ledger_stands_and_a_later_beginning_is_a_gap_on_record(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    async def main() -> list[list[int]]:
        await ten_days(broker, prefix)
        first = await read(broker, prefix, tmp_path, "2026-03-04T00:00:00Z", "2026-03-06T00:00:00Z")
        return [first, await read(broker, prefix, tmp_path, "beginning", "now")]

    assert asyncio.run(main()) == [[3, 4], list(range(3, 10))]
    (gap,) = DeltaLedgerReader(tmp_path).gaps()
    assert (gap.start, gap.end, gap.note["reason"]) == (0, 3, "--from")


def test_a_rebalance_is_no_end(
    tmp_path: Path, broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second member comes while a slow commit is under way: nothing is held for a moment."""
    topics = input_topics(prefix)
    small = QUICK.model_copy(update={"poll_records": 50, "flush_rows": 100})

    async def main() -> int:
        messages = [structured("execution.completed", execution()) for _ in range(600)]
        for partition in range(2):
            await publish(broker, topics[0], messages, partition)
        bounds = await resolve(KafkaConnection(broker), topics, None, "now")
        first, second = [
            await built(broker, prefix, tmp_path, small, bounds=bounds) for _ in range(2)
        ]
        commit = first._batch.commit

        def slow(*given: Any) -> None:
            time.sleep(0.5)
            commit(*given)

        monkeypatch.setattr(first._batch, "commit", slow)
        running = [asyncio.create_task(first.run(asyncio.Event()))]
        await asyncio.sleep(2)
        running.append(asyncio.create_task(second.run(asyncio.Event())))
        await asyncio.wait_for(asyncio.gather(*running), 60)
        return len(list(DeltaLedgerReader(tmp_path).rows()))

    assert asyncio.run(main()) == 1_200


@pytest.mark.parametrize(
    ("place", "file"),
    [
        ("yesterday", ""),
        ("2026-03-01T00:00:00", ""),
        ("{tmp}/none.json", ""),
        ("{tmp}/file.json", '{"topic": "x"}'),
        ("{tmp}/file.json", "[1]"),
        ("{tmp}/file.json", '{"execution.complete:0": 0}'),
        ("{tmp}/file.json", '{"PREFIXexecution.completed:0": 1}'),
        ("{tmp}/file.json", '{"PREFIXexecution.completed:0": -1}'),
    ],
)
def test_a_place_that_is_not_understood(
    tmp_path: Path, broker: str, prefix: str, place: str, file: str
) -> None:
    (tmp_path / "file.json").write_text(file.replace("PREFIX", prefix))
    with pytest.raises(Unrecoverable) as caught:
        asyncio.run(
            resolve(KafkaConnection(broker), input_topics(prefix), None, place.format(tmp=tmp_path))
        )
    assert caught.value.code is Code.BAD_RANGE


def test_by_command_a_range_is_replayed_into_another_ledger_beside_the_live_one(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    config = processes.write_config(tmp_path, broker, kafka={"prefix": prefix})

    def rows(ledger: Path) -> list[Row]:
        found = DeltaLedgerReader(ledger).rows()
        return sorted(found, key=lambda row: (row.topic, row.partition, row.offset))

    async def events() -> None:
        topic = f"{prefix}execution.completed"
        good: list[Any] = [structured("execution.completed", execution()) for _ in range(40)]
        for partition in range(2):
            await publish(broker, topic, [*good, (b"{not json", ())], partition)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return processes.run("ingest", "--config", str(config), "--until", "now", *options)

    asyncio.run(events())
    assert run().returncode == 0
    other = tmp_path / "replayed"
    assert run("--ledger", str(other), "--workers", "2").returncode == 0
    assert rows(other) == rows(tmp_path / "data" / "ledger")
    assert len(rows(other)) == 82
    letters = asyncio.run(
        resolve(KafkaConnection(broker), [f"{prefix}lorikeet.dead-letter"], None, "now")
    )
    assert letters.until == {TopicPartition(f"{prefix}lorikeet.dead-letter", 0): 2}
