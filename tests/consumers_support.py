"""Publishing, and the ingest loop on a real broker, for tests."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from consumers.dead_letters import DeadLetters
from consumers.ingest import IngestLoop
from consumers.kafka import cluster_id, input_topics
from consumers.log_walk import LogReader
from consumers.settings import IngestSettings
from operations.ingest_batch import IngestBatch
from operations.stop_partitions import StopPartitions
from processors.curation.policy import CurationPolicy
from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from schemas.records import Record, TopicPartition
from schemas.rows import Row
from schemas.telemetry import Meter, NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.control.database import Database
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.support import event, execution

QUICK = IngestSettings(flush_seconds=0.1, session_timeout_ms=6000, heartbeat_ms=200)
_NOBODY = NoMeter()
_MIB = 1024 * 1024
Message = tuple[bytes | None, Sequence[tuple[str, bytes]]]


async def publish_executions(broker: str, topic: str, count: int, padding: int = 0) -> int:
    """Publish so many executions over all partitions; `padding` makes each that much larger."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True, linger_ms=5)
    await producer.start()
    try:
        for number in range(count):
            noise = random.Random(number).randbytes(padding // 2).hex()
            data = execution(labels={"n": str(number)}, phase=noise)
            data["messages"][0]["content"] += noise
            body = json.dumps(event("execution.completed", data)).encode()
            await producer.send(topic, body)
        await producer.flush()
    finally:
        await producer.stop()
    return count


async def publish(
    broker: str, topic: str, messages: Sequence[Message], partition: int = 0, **options: Any
) -> None:
    """Publish messages; `options` are aiokafka's."""
    producer = AIOKafkaProducer(bootstrap_servers=broker, enable_idempotence=True, **options)
    await producer.start()
    for value, headers in messages:
        await producer.send(topic, value, partition=partition, headers=list(headers))
    await producer.stop()


async def settled(broker: str, tp: TopicPartition) -> None:
    """Return when every transaction of a partition has its marker: commits are told before."""
    async with LogReader(KafkaConnection(broker)) as log:
        for _ in range(100):
            bounds = await log.bounds(tp)
            if bounds.stable == bounds.end:
                return
            await asyncio.sleep(0.05)
    raise AssertionError(f"a transaction is still open on {tp}")


def structured(kind: str, data: dict[str, Any], **attributes: Any) -> Message:
    """An event in structured mode."""
    return json.dumps(event(kind, data, **attributes)).encode(), ()


def loop_of(
    broker: str,
    prefix: str,
    ledger: Path,
    cluster: str,
    settings: IngestSettings,
    meter: Meter = _NOBODY,
    **more: Any,
) -> IngestLoop:
    """An ingest loop that is not running yet."""
    batch = IngestBatch(
        DeltaLedgerWriter(ledger, cluster),
        DeltaLedgerReader(ledger),
        cluster,
        CurationPolicy(hmac_key=b"key"),
        meter,
    )
    letters = DeadLetters(
        KafkaProducer(KafkaConnection(broker)), prefix, ObjectFolder(f"file://{ledger}-objects")
    )
    group = settings.model_copy(update={"group": f"{prefix}ingest"})
    stops = StopPartitions(Database(f"sqlite:///{ledger}-control.db"))
    return IngestLoop(
        KafkaConnection(broker),
        input_topics(prefix),
        group,
        batch,
        letters,
        stops,
        meter,
        **more,
    )


async def built(
    broker: str, prefix: str, ledger: Path, settings: IngestSettings = QUICK, **more: Any
) -> IngestLoop:
    """The same, for the broker's own cluster."""
    cluster = await cluster_id(KafkaConnection(broker))
    return loop_of(broker, prefix, ledger, cluster, settings, **more)


async def rows_of(ledger: Path, count: int, seconds: float = 30.0) -> list[Row]:
    """The ledger's rows, as soon as it has so many."""
    rows: list[Row] = []
    for _ in range(int(seconds * 10)):
        rows = list(DeltaLedgerReader(ledger).rows())
        if len(rows) >= count:
            break
        await asyncio.sleep(0.1)
    return rows


async def ingest(
    broker: str,
    prefix: str,
    ledger: Path,
    until: int,
    settings: IngestSettings = QUICK,
    **more: Any,
) -> list[Row]:
    """Run until the ledger has so many rows."""
    cluster = await cluster_id(KafkaConnection(broker))
    loop, stop = loop_of(broker, prefix, ledger, cluster, settings, **more), asyncio.Event()
    running = asyncio.create_task(loop.run(stop))
    reader = DeltaLedgerReader(ledger)
    for _ in range(900):
        await asyncio.sleep(0.1)
        if running.done() or len(list(reader.rows())) >= until:
            break
    stop.set()
    await running
    return sorted(reader.rows(), key=lambda r: (r.topic, r.partition, r.offset))


async def publish_batch(
    broker: str, tp: TopicPartition, records: Sequence[Record], codec: int = 0
) -> None:
    """One batch by aiokafka's Python builder, which writes header names that its producer refuses."""
    builder = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=_MIB,
    )
    for number, one in enumerate(records):
        assert builder.append(number, one.timestamp, one.key, one.value, list(one.headers))
    client = AIOKafkaClient(bootstrap_servers=broker)
    await client.bootstrap()
    await client.add_topic(tp.topic)
    request = ProduceRequest(
        None, 1, 10_000, [(tp.topic, [(tp.partition, bytes(builder.build()))])]
    )
    answer = await client.send(client.cluster.leader_for_partition(tp), request)
    await client.close()
    ((_, ((_, error, *_rest),)),) = answer.topics
    assert not error


async def read_all(broker: str, topic: str, count: int) -> list[Any]:
    """The first so many records of a topic of one partition."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=32 * 1024 * 1024,
    )
    await consumer.start()
    found: list[Any] = []
    try:
        deadline = time.monotonic() + 60
        while len(found) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} records on {topic}"
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += records
    finally:
        await consumer.stop()
    return found
