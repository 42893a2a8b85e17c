"""When claiming, looking up or reading back goes wrong, or another writer moves: on a real broker."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaTimeoutError, NoOffsetForPartitionError

from consumers.kafka import cluster_id
from producers.connection import KafkaConnection
from schemas.digests import sha256_hex
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.consumers_support import built, publish, rows_of, structured
from tests.support import execution, row

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("failing", [1, 2], ids=["the first", "one after a rebalance"])
def test_a_claim_that_fails_ends_ingest(
    tmp_path: Path, broker: str, prefix: str, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka logs what its listener raises, and would go on with partitions that nobody reads."""
    error = Unrecoverable(Code.UNWRITABLE, "the ledger")

    async def main() -> None:
        loop = await built(broker, prefix, tmp_path)
        claim, calls = loop._batch.claim, 0

        async def no_offset(*_: Any, **__: Any) -> None:
            while loop._failure is None:  # noqa: ASYNC110 - aiokafka's task sets it
                await asyncio.sleep(0.01)
            raise NoOffsetForPartitionError

        def failing_claim(wanted: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise error
            return claim(wanted)

        monkeypatch.setattr(loop._batch, "claim", failing_claim)
        stop = asyncio.Event()
        if failing == 1:  # what aiokafka raises where nobody sought; not the reason
            monkeypatch.setattr(AIOKafkaConsumer, "getmany", no_offset)
        running = asyncio.create_task(loop.run(stop))
        other = None
        if failing == 2:
            await asyncio.sleep(2)
            second = await built(broker, prefix, tmp_path)
            other = asyncio.create_task(second.run(stop))
        done, _ = await asyncio.wait([running], timeout=20)
        stop.set()
        if other is not None:
            await other
        assert done, "ingest lives on and reads nothing"
        await running

    with pytest.raises(Unrecoverable) as caught:
        asyncio.run(main())
    assert caught.value is error


def test_a_beginning_that_cannot_be_looked_up_ends_ingest(
    tmp_path: Path, broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partitions are paused until it is known: they would stay so."""

    async def nobody_answers(*_: Any) -> None:
        raise KafkaTimeoutError

    monkeypatch.setattr(AIOKafkaConsumer, "beginning_offsets", nobody_answers)

    async def main() -> None:
        loop = await built(broker, prefix, tmp_path)
        await asyncio.wait_for(loop.run(asyncio.Event()), 20)

    with pytest.raises(NotReady) as caught:
        asyncio.run(main())
    assert caught.value.code is Code.NO_BROKER


def test_a_fenced_ingest_goes_on_from_the_ledgers_offsets(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Another writer moves a partition, and before ours comes to it, it commits the other one."""
    topic = f"{prefix}execution.completed"
    mine, moved = TopicPartition(topic, 1), TopicPartition(topic, 0)
    events = [structured("execution.completed", execution()) for _ in range(5)]

    async def main() -> list[Row]:
        cluster = await cluster_id(KafkaConnection(broker))
        loop, stop = await built(broker, prefix, tmp_path), asyncio.Event()
        running = asyncio.create_task(loop.run(stop))
        await publish(broker, topic, [structured("execution.completed", execution())], mine[1])
        await rows_of(tmp_path, 1)
        other = DeltaLedgerWriter(tmp_path, cluster)
        other.claim([moved])
        taken = [
            row(n, topic=topic, cluster=cluster, digest=sha256_hex(events[n][0] or b""))
            for n in range(3)
        ]
        other.append(taken, {moved: 3})
        await publish(broker, topic, [structured("execution.completed", execution())], mine[1])
        await rows_of(tmp_path, 5)
        await publish(broker, topic, events, moved[1])
        await rows_of(tmp_path, 7)
        await asyncio.sleep(0.5)
        stop.set()
        await running
        return list(DeltaLedgerReader(tmp_path).rows())

    rows = asyncio.run(main())
    places = Counter((r.partition, r.offset) for r in rows)
    assert places == {**{(0, n): 1 for n in range(5)}, (1, 0): 1, (1, 1): 1}


def test_reading_back_what_was_seen_does_not_hold_up_the_heartbeat(
    tmp_path: Path, broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"{prefix}execution.completed"
    gaps: list[float] = []

    async def pulse() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    async def main() -> None:
        loop, stop = await built(broker, prefix, tmp_path), asyncio.Event()

        claim = loop._batch.claim

        def slow(partitions: Any) -> Any:
            time.sleep(3)
            return claim(partitions)

        monkeypatch.setattr(loop._batch, "claim", slow)
        beating = asyncio.create_task(pulse())
        running = asyncio.create_task(loop.run(stop))
        await publish(broker, topic, [structured("execution.completed", execution())])
        await rows_of(tmp_path, 1)
        stop.set()
        await running
        beating.cancel()

    asyncio.run(main())
    assert max(gaps) < 2
