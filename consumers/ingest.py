"""The ingest loop: aiokafka to the ledger, every record exactly one row.

The ledger's offsets are the truth; Kafka's committed ones are advice for lag tools. On assignment the
consumer seeks to the ledger's offsets before anything is awaited, since any await before the seek
leaks records from the committed position. On revocation what is not committed is dropped: the next
owner reads it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import CommitFailedError, KafkaError, OffsetOutOfRangeError

from consumers.dead_letters import DeadLetters
from consumers.settings import IngestSettings
from operations.ingest_batch import Fault, IngestBatch
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.records import Record, TopicPartition
from schemas.rows import Row
from schemas.telemetry import Meter, Metric

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Buffer:
    """What was decided and is not committed."""

    pairs: list[tuple[Record, Row]] = field(default_factory=list)
    next_offset: int = 0


class IngestLoop:
    """Polls, decides, commits, until told to stop."""

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        settings: IngestSettings,
        batch: IngestBatch,
        dead_letters: DeadLetters,
        meter: Meter,
        fault: Fault = lambda _step: None,
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = list(topics)
        self._settings = settings
        self._batch = batch
        self._dead_letters = dead_letters
        self._meter = meter
        self._fault = fault
        self._buffers: dict[TopicPartition, _Buffer] = {}
        self._since: float | None = None
        self._lock = asyncio.Lock()
        self._consumer: Any = None
        self._failure: Exception | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set, then commit what is decided.

        Raises NotReady(NO_BROKER), Unrecoverable(OFFSET_OUT_OF_RANGE) or what the ledger raises.
        """
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._settings.group,
            group_instance_id=self._settings.member_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=self._settings.session_timeout_ms,
            heartbeat_interval_ms=self._settings.heartbeat_ms,
            max_partition_fetch_bytes=32 * 1024 * 1024,
        )
        self._consumer.subscribe(self._topics, listener=_Listener(self))
        try:
            await self._consumer.start()
            await self._read(stop)
        except KafkaError as error:
            raise self._reason(error) from error
        finally:
            await self._consumer.stop()

    def _reason(self, error: KafkaError) -> Exception:
        """Why reading ended. What the listener met comes first: reading only trips over it."""
        cause = self._failure or error
        if isinstance(cause, OffsetOutOfRangeError):
            return Unrecoverable(Code.OFFSET_OUT_OF_RANGE, _out_of_range(cause))
        if isinstance(cause, KafkaError):
            return NotReady(Code.NO_BROKER, f"{self._bootstrap}: {cause!r}")
        return cause

    async def _read(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if self._failure is not None:
                raise self._failure
            fetched = await self._consumer.getmany(
                timeout_ms=100, max_records=self._settings.poll_records
            )
            async with self._lock:
                for partition, records in fetched.items():
                    await self._take(TopicPartition(*partition), records)
                if self._due():
                    await self._flush()
            self._report_lag()
        async with self._lock:
            await self._flush()

    async def _take(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        """Decide a partition's records, unless it was taken away while they were on their way."""
        buffer = self._buffers.get(tp)
        if buffer is None:
            return
        plain = [_record(record) for record in records if record.offset >= buffer.next_offset]
        if not plain:
            return
        # In a thread: the first time it reads back from the ledger what was seen of the partition.
        rows = await asyncio.to_thread(self._batch.decide, plain)
        buffer.pairs.extend(zip(plain, rows, strict=True))
        buffer.next_offset = plain[-1].offset + 1
        self._since = self._since or time.monotonic()

    def _due(self) -> bool:
        if self._since is None:
            return False
        waiting = sum(len(buffer.pairs) for buffer in self._buffers.values())
        old = time.monotonic() - self._since >= self._settings.flush_seconds
        return old or waiting >= self._settings.flush_rows

    async def _flush(self) -> None:
        """Commit what is buffered; the steps of `operations.ingest_batch.STEPS`."""
        full = {tp: buffer for tp, buffer in self._buffers.items() if buffer.pairs}
        if not full:
            return
        pairs = [pair for buffer in full.values() for pair in buffer.pairs]
        offsets = {tp: buffer.next_offset for tp, buffer in full.items()}
        self._fault("decided")
        await self._dead_letters.send(pairs)
        self._fault("dead_letters_sent")
        try:
            await asyncio.to_thread(self._batch.commit, [row for _, row in pairs], offsets)
        except NotReady as error:
            if error.code is not Code.LEDGER_FENCED:
                raise
            log.warning("ingest.fenced", detail=error.detail)
            await self.assigned(list(self._consumer.assignment()))  # drop the buffer, seek again
            return
        self._fault("committed")
        for buffer in full.values():
            buffer.pairs.clear()
        self._since = None
        self._meter.set(Metric.INGEST_LAST, time.time())
        await self._tell_kafka(offsets)
        self._fault("offsets_returned")

    async def _tell_kafka(self, offsets: dict[TopicPartition, int]) -> None:
        """Advice for lag tools; losing it, or the partition, costs nothing."""
        try:
            await self._consumer.commit({KafkaPartition(*tp): o for tp, o in offsets.items()})
        except (CommitFailedError, KafkaError) as error:
            log.info("ingest.offsets_not_committed", reason=type(error).__name__)

    async def assigned(self, partitions: Iterable[KafkaPartition]) -> None:
        """Claim the partitions and seek, before anything is awaited."""
        mine = [TopicPartition(*partition) for partition in partitions]
        known = self._batch.claim(mine)
        unknown = []
        for tp, offset in known.items():
            self._consumer.seek(KafkaPartition(*tp), offset or 0)
            if offset is None:  # its log may begin later than at 0: looked up before it is fetched
                self._consumer.pause(KafkaPartition(*tp))
                unknown.append(tp)
        self._buffers = {tp: _Buffer(next_offset=known[tp] or 0) for tp in mine}
        self._since = None
        self._meter.count(Metric.REBALANCES)
        self._meter.set(Metric.INGEST_PARTITIONS, len(mine))
        log.info("ingest.assigned", partitions=len(mine))
        await self._to_the_start(unknown)

    async def _to_the_start(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions that the ledger does not know are read from their first record."""
        if not partitions:
            return
        kafka = [KafkaPartition(*tp) for tp in partitions]
        starts = await self._consumer.beginning_offsets(kafka)
        for partition in kafka:
            self._consumer.seek(partition, starts[partition])
            self._consumer.resume(partition)

    async def revoked(self) -> None:
        """Drop what is not committed."""
        async with self._lock:
            self._buffers = {}
            self._since = None

    def fail(self, error: Exception) -> None:
        """End `run` with this error: it would hold partitions that it does not read."""
        self._failure = error

    def _report_lag(self) -> None:
        lag: dict[str, int] = {}
        for tp, buffer in self._buffers.items():
            end = self._consumer.highwater(KafkaPartition(*tp))
            uncommitted = len(buffer.pairs)
            behind = max((end or 0) - buffer.next_offset, 0) + uncommitted if end else uncommitted
            lag[tp.topic] = lag.get(tp.topic, 0) + behind
        for topic, behind in lag.items():
            self._meter.set(Metric.INGEST_LAG, behind, topic=topic)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, loop: IngestLoop) -> None:
        self._loop = loop

    async def on_partitions_revoked(self, _revoked: Iterable[KafkaPartition]) -> None:
        await self._loop.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        try:
            await self._loop.assigned(assigned)
        except Exception as error:  # noqa: BLE001 - aiokafka would log it and go on
            self._loop.fail(error)


def _record(record: Any) -> Record:
    return Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


def _out_of_range(error: OffsetOutOfRangeError) -> str:
    partitions = error.args[0] if error.args else {}
    if isinstance(partitions, dict):
        return ", ".join(f"{tp.topic}[{tp.partition}] at {o}" for tp, o in partitions.items())
    return str(partitions)
