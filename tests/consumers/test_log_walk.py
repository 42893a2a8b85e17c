"""The log's spans on a real broker: transactions, compaction, deleted records, compression."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from consumers.lenient_headers import LenientConsumer
from consumers.log_walk import Kind, LogEnds, LogReader, Span
from producers.connection import KafkaConnection
from schemas.errors import Code, Unrecoverable
from schemas.records import Record, TopicPartition
from tests.consumers.bad_records import NameOfBytes
from tests.consumers_support import publish_batch, settled

pytestmark = pytest.mark.kafka
COMPACTED = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.0",
    "max.compaction.lag.ms": "1",
    "delete.retention.ms": "0",
    "segment.ms": "100",
}


async def topic_of(broker: str, **options: str) -> TopicPartition:
    """A fresh topic of one partition; `options` are the topic's."""
    name = f"walk-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs=options)])
    await admin.close()
    return TopicPartition(name, 0)


async def send(broker: str, tp: TopicPartition, keys: Sequence[str | None], **options: Any) -> None:
    """One batch; each record's value is its key's, and its number."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, linger_ms=20, **options)
    await producer.start()
    await _send(producer, tp, keys)
    await producer.stop()


async def _send(producer: AIOKafkaProducer, tp: TopicPartition, keys: Sequence[str | None]) -> None:
    pending = [
        await producer.send(
            tp.topic, f"{key}{n}".encode(), partition=0, key=key.encode() if key else None
        )
        for n, key in enumerate(keys)
    ]
    await asyncio.gather(*pending)


async def transaction(broker: str, tp: TopicPartition, count: int, *, commit: bool) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=uuid.uuid4().hex)
    await producer.start()
    await producer.begin_transaction()
    await _send(producer, tp, [f"t{number}" for number in range(count)])
    await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()
    await settled(broker, tp)


async def walked(
    broker: str, tp: TopicPartition, first: int | None = None
) -> tuple[LogEnds, list[Span]]:
    async with LogReader(KafkaConnection(broker)) as log:
        bounds = await log.bounds(tp)
        start = bounds.first if first is None else first
        return bounds, [span async for span in log.walk(tp, start, bounds.stable)]


async def received(broker: str, tp: TopicPartition) -> list[Any]:
    """What a read_committed consumer gets."""
    consumer = LenientConsumer(bootstrap_servers=broker, isolation_level="read_committed")
    await consumer.start()
    partition = KafkaPartition(*tp)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    ends = await consumer.end_offsets([partition])
    found = []
    while await consumer.position(partition) < ends[partition]:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            found += records
    await consumer.stop()
    return found


def kinds(spans: Sequence[Span]) -> list[tuple[str, int, int]]:
    return [(str(span.kind), span.first, span.end) for span in spans]


def check(spans: Sequence[Span], first: int, end: int) -> None:
    """Every offset once, in order; data spans hold a record for each of theirs."""
    position = first
    for span in spans:
        assert (span.first, span.end > span.first) == (position, True)
        offsets = [record.offset for record in span.records]
        assert offsets == (list(range(span.first, span.end)) if span.kind is Kind.DATA else [])
        position = span.end
    assert position == end


async def same_as_the_consumer(broker: str, tp: TopicPartition, spans: Sequence[Span]) -> None:
    mine = [record for span in spans for record in span.records]
    theirs = await received(broker, tp)
    assert [tuple(r) for r in mine] == [
        (r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in theirs
    ]


def test_transactions(broker: str) -> None:
    async def main() -> None:
        tp = await topic_of(broker)
        await transaction(broker, tp, 3, commit=True)
        await transaction(broker, tp, 2, commit=False)
        await send(broker, tp, [None] * 2)
        bounds, spans = await walked(broker, tp)
        assert kinds(spans) == [
            ("data", 0, 3),
            ("marker", 3, 4),
            ("aborted", 4, 6),
            ("marker", 6, 7),
            ("data", 7, 9),
        ]
        assert bounds == LogEnds(0, 9, 9)
        check(spans, 0, 9)
        await same_as_the_consumer(broker, tp, spans)
        _, later = await walked(broker, tp, first=5)
        assert kinds(later)[0] == ("aborted", 5, 6), "the list names where a transaction began"

    asyncio.run(main())


def test_transactions_that_interleave(broker: str) -> None:
    async def main() -> None:
        tp = await topic_of(broker)
        names = ("commits", "aborts", "waits")
        producers = [
            AIOKafkaProducer(bootstrap_servers=broker, transactional_id=f"{tp.topic}-{name}")
            for name in names
        ]
        for producer in producers:
            await producer.start()
        for producer in producers[:2]:
            await producer.begin_transaction()
        for _ in range(2):
            for producer in producers[:2]:
                await _send(producer, tp, [None])
        await producers[1].abort_transaction()
        await producers[0].commit_transaction()
        await settled(broker, tp)
        await producers[2].begin_transaction()
        await _send(producers[2], tp, [None] * 4)
        bounds, spans = await walked(broker, tp)
        assert (bounds.stable, bounds.end) == (6, 10), "nobody receives an open transaction's"
        check(spans, 0, 6)
        kept = [str(span.kind) for span in spans for _ in range(span.first, span.end)]
        assert kept == ["data", "aborted", "data", "aborted", "marker", "marker"]
        await same_as_the_consumer(broker, tp, spans)
        await producers[2].abort_transaction()
        for producer in producers:
            await producer.stop()

    asyncio.run(main())


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_compressed_batches(broker: str, codec: str) -> None:
    async def main() -> None:
        tp = await topic_of(broker)
        await send(broker, tp, [None] * 50, compression_type=codec)
        _, spans = await walked(broker, tp)
        check(spans, 0, 50)
        await same_as_the_consumer(broker, tp, spans)
        _, later = await walked(broker, tp, first=17)
        check(later, 17, 50)

    asyncio.run(main())


def test_deleted_records_raise_the_beginning(broker: str) -> None:
    async def main() -> None:
        tp = await topic_of(broker)
        await send(broker, tp, [None] * 10)
        await delete_before(broker, tp, 4)
        bounds, spans = await walked(broker, tp, first=0)
        assert bounds == LogEnds(4, 10, 10)
        assert kinds(spans) == [("expired", 0, 4), ("data", 4, 10)]
        with pytest.raises(Unrecoverable) as caught:
            async with LogReader(KafkaConnection(broker)) as log:
                [_ async for _ in log.walk(tp, 11, 20)]
        assert caught.value.code is Code.OFFSET_OUT_OF_RANGE

    asyncio.run(main())


async def delete_before(broker: str, tp: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.delete_records({KafkaPartition(*tp): RecordsToDelete(before_offset=offset)})
    await admin.close()


def test_compaction_leaves_holes(broker: str) -> None:
    async def main() -> None:
        await clean_at_once(broker)
        tp = await topic_of(broker, **COMPACTED)
        await send(broker, tp, ["stays", "a", "b"])
        for _ in range(4):
            await send(broker, tp, ["a", "b", "a", "c"])
        await transaction(broker, tp, 2, commit=False)
        await asyncio.sleep(0.2)
        await send(broker, tp, ["z"])  # rolls the segment: the active one is never cleaned
        for _ in range(100):
            bounds, spans = await walked(broker, tp)
            kept = [str(span.kind) for span in spans for _ in range(span.first, span.end)]
            if kept.count("hole") >= 14:
                break
            await asyncio.sleep(0.2)
        check(spans, bounds.first, bounds.stable)
        assert kept[:15] == ["data", *["hole"] * 14], "inside a batch, and whole batches"
        await same_as_the_consumer(broker, tp, spans)

    asyncio.run(main())


async def clean_at_once(broker: str) -> None:
    """Let the log cleaner look for work every 100 ms instead of every 15 s."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    resource = ConfigResource(ConfigResourceType.BROKER, "1", {"log.cleaner.backoff.ms": "100"})
    await admin.alter_configs([resource])
    await admin.close()


@pytest.mark.parametrize("codec", [0, 1])
def test_a_header_name_that_is_not_utf8_hides_no_record(broker: str, codec: int) -> None:
    """Behind an aborted transaction, in the middle of a batch, and where reading begins in it."""
    names = ["a", r"\xff", "b", r"x\xc0\x80", "c"]

    async def main() -> None:
        tp = await topic_of(broker)
        await transaction(broker, tp, 2, commit=False)
        now = int(time.time() * 1000)
        headers = [((NameOfBytes(name), name.encode()),) for name in names]
        batch = [Record(*tp, 0, now, None, b"v", pair) for pair in headers]
        await publish_batch(broker, tp, batch, codec)
        await publish_batch(broker, tp, batch, codec)
        read = [(r.offset, r.value, r.headers) for r in await received(broker, tp)]
        assert read == [(3 + n, b"v", pair) for n, pair in enumerate(headers * 2)]
        for first in (3, 5, 8):
            _, spans = await walked(broker, tp, first)
            got = [(r.offset, r.value, r.headers) for span in spans for r in span.records]
            assert got == read[first - 3 :]

    asyncio.run(main())
