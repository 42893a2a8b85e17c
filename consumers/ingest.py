"""The ingest loop: aiokafka to the ledger, every record exactly one row.

While one batch is made durable, the next is decided. On revocation what is decided is committed
within a budget, or dropped: the next owner reads it again. A sink that stalls pauses the partitions,
and the member stays in its group.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import structlog
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import CommitFailedError, KafkaError, OffsetOutOfRangeError

from consumers.assignment import Assignment, Bounds, Progress
from consumers.dead_letters import DeadLetters
from consumers.flush import Flusher, Waiting, slices
from consumers.guard import DeadLetterGuard
from consumers.lenient_headers import record_of
from consumers.member import Listener, build_consumer, leave, start
from consumers.report import report
from consumers.settings import IngestSettings
from operations.ingest_batch import Fault, IngestBatch
from operations.stop_partitions import StopPartitions
from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.records import TopicPartition, partition_key
from schemas.telemetry import Meter, Metric

log = structlog.get_logger(__name__)
Fetched = Mapping[KafkaPartition, Sequence[Any]]
_PATIENCE = 1.0
"""Seconds that reading waits for a commit before its partitions are paused."""
_NAP = 0.25
"""Seconds between polls after which it is looked whether the logs are still the same."""
_LOOK_SECONDS = 5.0
_IDLE_SECONDS = 30.0
_REPORT_SECONDS = 0.5
_TELL_SECONDS = 10.0


class IngestLoop:
    """Polls, decides, commits, until told to stop."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Sequence[str],
        settings: IngestSettings,
        batch: IngestBatch,
        dead_letters: DeadLetters | None,
        stops: StopPartitions,
        meter: Meter,
        *,
        bounds: Bounds | None = None,
        fault: Fault = lambda _step: None,
    ) -> None:
        self._connection = connection
        self._topics = list(topics)
        self._settings = settings
        self._batch = batch
        self._stops = stops
        self._bounds = bounds or Bounds()
        self._meter = meter
        self._guard = DeadLetterGuard(settings.dead_letters, meter)
        self._flusher = Flusher(batch, dead_letters, self._tell_kafka, meter, fault)
        self._waiting = Waiting()
        self._moving = asyncio.Lock()
        self._consumer: Any = None
        self._assignment: Any = None
        self._failure: Exception | None = None
        self._pressed = self._begun = False
        self._poll_records = settings.poll_records
        self._undecided: set[TopicPartition] = set()
        self._polled = time.monotonic()
        self._looked = self._flushed = self._reported = self._told = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop` is set or the bounds are reached, then commit what is decided.

        Raises NotReady(NO_BROKER), Halted(TOO_MANY_DEAD_LETTERS), Unrecoverable(OFFSET_OUT_OF_RANGE)
        when no partition is left to read, or what the ledger raises.
        """
        self._consumer = build_consumer(self._connection, self._settings)
        self._assignment = Assignment(
            self._consumer, self._batch, self._stops, self._bounds, self._meter
        )
        self._consumer.subscribe(
            self._topics, listener=Listener(self.revoked, self.assigned, self._fail)
        )
        try:
            if await start(self._consumer, stop):
                await self._read(stop)
        except KafkaError as error:
            raise await self._reason(error) from error
        finally:
            await leave(self._consumer)

    async def _reason(self, error: KafkaError) -> Exception:
        """Why reading ended. What the listener met comes first: reading only trips over it."""
        cause = self._failure or error
        if isinstance(cause, KafkaError):
            return await diagnose(self._connection, cause, "reading")
        return cause

    async def _read(self, stop: asyncio.Event) -> None:
        while not (stop.is_set() or self._assignment.finished):
            if self._failure is not None:
                raise self._failure
            fetched = self._after_a_pause(await self._poll())
            await self._decide(fetched)
            async with self._moving:
                await self._flush_if_due()
                await self._look_at_stopped()
            self._report()
        async with self._moving:
            await self._drain()
        log.info("ingest.ended", **self._flusher.committed)
        if self._assignment.finished and self._assignment.stopped:
            raise Unrecoverable(Code.OFFSET_OUT_OF_RANGE, self._stopped())

    def _stopped(self) -> str:
        found = self._assignment.stopped.items()
        return ", ".join(f"{tp.topic}[{tp.partition}] at {s.next_offset}" for tp, s in found)

    async def _poll(self) -> Fetched:
        try:
            found: Fetched = await self._consumer.getmany(
                timeout_ms=100, max_records=self._poll_records
            )
        except OffsetOutOfRangeError as error:
            lost = {
                TopicPartition(*partition): offset for partition, offset in error.args[0].items()
            }
            gone = {tp for tp, offset in lost.items() if not self._assignment.read_on(tp, offset)}
            await self._stop(gone, anew=False)
            return {}
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("ingest.poll_failed", reason=repr(error))
            await asyncio.sleep(_PATIENCE)
            return {}
        return found

    async def _stop(self, lost: AbstractSet[TopicPartition], *, anew: bool = True) -> None:
        """Partitions whose log is not the one that was read, or does not reach back to it."""
        if not lost:
            return
        async with self._moving:
            for tp in lost & self._assignment.reading.keys():
                stored = self._assignment.reading[tp].next_offset
                await self._assignment.stop(tp, stored, anew=anew)
            await self._anything_left()

    def _after_a_pause(self, fetched: Fetched) -> Fetched:
        """What was fetched, without what is fetched again because this process has slept meanwhile.

        A topic may have been made anew, and have grown past our positions.
        """
        slept, self._polled = time.monotonic() - self._polled, time.monotonic()
        if slept <= _NAP:
            return fetched
        again = self._assignment.check_again()
        return {partition: found for partition, found in fetched.items() if partition not in again}

    async def _decide(self, fetched: Fetched) -> None:
        """Decide what was fetched a slice at a time, so that heartbeats and commits go on between."""
        size = count = 0
        self._undecided = {TopicPartition(*partition) for partition in fetched}
        for partition, found in fetched.items():
            tp = TopicPartition(*partition)
            progress = self._assignment.reading.get(tp)
            for part, weighs in slices(found):
                if progress is None or self._assignment.reading.get(tp) is not progress:
                    break  # it was taken away while its records were on their way
                if not self._assignment.is_same(tp, record_of(part[0])):
                    await self._stop({tp})
                    break
                self._take(tp, progress, part)
                size, count = size + weighs, count + len(part)
                await asyncio.sleep(0)
                async with self._moving:
                    await self._flush_if_due()
            self._undecided.discard(tp)
        if count:  # large records: fewer of them at a time
            fitting = self._settings.flush_bytes * count // max(size, 1)
            self._poll_records = max(1, min(self._settings.poll_records, fitting))

    def _take(self, tp: TopicPartition, progress: Progress, found: Sequence[Any]) -> None:
        end = self._assignment.limit(tp)
        records = [
            record_of(record)
            for record in found
            if record.offset >= progress.next_offset and (end is None or record.offset < end)
        ]
        if records and tp not in self._assignment.done:
            rows = self._batch.decide(records)
            self._guard.see(rows)
            self._waiting.add(tp, records, rows)
            progress.moved(rows[-1])
        if end is not None and found[-1].offset + 1 >= end:
            self._assignment.finish(tp)

    def _due(self) -> bool:
        waiting = self._waiting
        if waiting.since is None:
            return time.monotonic() - self._flushed >= _IDLE_SECONDS
        return (
            self._begun  # what waited while nobody read is durable at once
            or time.monotonic() - waiting.since >= self._settings.flush_seconds
            or len(waiting.rows) >= self._settings.flush_rows
            or waiting.size >= self._settings.flush_bytes
        )

    async def _flush_if_due(self) -> None:
        if not self._flusher.busy:
            await self._settle()
        if not self._due():
            return
        if not await self._flusher.wait(_PATIENCE):
            self._press(pressed=True)
            return
        await self._settle()
        self._press(pressed=False)
        await self._flush()

    async def _flush(self) -> None:
        """Begin to commit what is decided."""
        self._flushed, self._begun = time.monotonic(), False
        waiting, self._waiting = self._waiting, Waiting()
        waiting.offsets.update(await self._assignment.positions(self._undecided))
        if waiting.offsets:
            self._flusher.start(waiting)

    async def _settle(self) -> None:
        """The end of the last commit. One that was fenced, or given up, is read again from the ledger."""
        try:
            await self._flusher.settle()
        except NotReady as error:
            log.warning("ingest.fenced", detail=error.detail)
            await self._place(self._consumer.assignment())

    async def _drain(self) -> None:
        """Commit what is decided, in the time that is left; drop the rest. Raises what a user can mend."""
        try:
            async with asyncio.timeout(self._settings.revoke_seconds):
                await self._flusher.settle()
                await self._flush()
                await self._flusher.settle()
        except (NotReady, TimeoutError) as error:
            log.warning("ingest.dropped", reason=repr(error))
            self._flusher.give_up()
        self._waiting = Waiting()

    def _press(self, *, pressed: bool) -> None:
        """Pause while the sink stalls; read on when it moves."""
        if pressed == self._pressed:
            return
        self._pressed = pressed
        (self._assignment.pause if pressed else self._assignment.resume)()
        log.warning("ingest.paused" if pressed else "ingest.resumed")

    async def _look_at_stopped(self) -> None:
        """Read a stopped partition on once its gap was accepted."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if await self._assignment.has_moved():
            await self._drain()
            await self._place(self._consumer.assignment())

    async def _anything_left(self) -> None:
        """Raises Unrecoverable(OFFSET_OUT_OF_RANGE) when all partitions of all members are stopped."""
        if not self._assignment.stopped or self._assignment.reading:
            return
        known = {topic: self._consumer.partitions_for_topic(topic) for topic in self._topics}
        if not all(known.values()):
            return  # a topic is being made
        every = {
            partition_key(self._batch.cluster, topic, partition)
            for topic, partitions in known.items()
            for partition in partitions
        }
        noted = await asyncio.to_thread(self._stops.keys)
        if every <= noted:
            raise Unrecoverable(Code.OFFSET_OUT_OF_RANGE, self._stopped())

    async def _tell_kafka(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Advice for lag tools; losing it, or the partition, costs nothing."""
        try:
            await self._consumer.commit({KafkaPartition(*tp): o for tp, o in offsets.items()})
        except (CommitFailedError, KafkaError) as error:
            log.info("ingest.offsets_not_committed", reason=type(error).__name__)

    async def assigned(self, partitions: Iterable[KafkaPartition]) -> None:
        """Hold these partitions, and no others."""
        held = list(partitions)
        self._assignment.hold(held)
        async with self._moving:
            self._meter.count(Metric.REBALANCES)
            await self._place(held)
            log.info("ingest.assigned", partitions=len(held))

    async def _place(self, partitions: Iterable[KafkaPartition]) -> None:
        held = list(partitions)
        self._assignment.drop()
        self._waiting, self._pressed = Waiting(), False
        try:
            self._flusher.give_up()
            await self._flusher.settle()
        except NotReady as error:
            log.info("ingest.dropped", reason=str(error))
        await self._assignment.take(held)
        self._begun = True
        await self._anything_left()

    async def revoked(self) -> None:
        """Commit what is decided, or drop it; nothing more is taken meanwhile."""
        self._assignment.release()
        async with self._moving:
            await self._drain()
            self._assignment.drop()

    def _fail(self, error: Exception) -> None:
        """End `run` with this error: it would hold partitions that it does not read."""
        self._failure = error

    def _report(self) -> None:
        now = time.monotonic()
        if now - self._reported >= _REPORT_SECONDS:
            self._reported = now
            held = (self._waiting, self._flusher.waiting)
            report(self._meter, self._topics, self._consumer, self._assignment, held)
            paused = len(self._assignment.reading) if self._pressed else 0
            self._meter.set(Metric.PAUSED_PARTITIONS, paused)
        if self._bounds.until is not None and now - self._told >= _TELL_SECONDS:
            self._told = now
            left = self._assignment.left()
            log.info("ingest.progress", left=left, **self._flusher.committed)
