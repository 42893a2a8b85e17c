"""The partitions that a member of the group holds: claimed in the ledger, placed, stopped or done.

The ledger's offsets are the truth; Kafka's committed ones are advice for lag tools. Partitions are
paused before anything is awaited, since any await before the seek leaks records from the committed
position; they are resumed where the ledger stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import IllegalStateError

from operations.ingest_batch import IngestBatch
from operations.stop_partitions import StopPartitions
from schemas.digests import sha256_hex
from schemas.errors import NotReady
from schemas.records import Record, TopicPartition
from schemas.rows import Row
from schemas.telemetry import Meter, Metric
from stores.control.stops import Stop

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where reading begins in partitions that the ledger does not know, and where it ends.

    `start` None: at each partition's first record; `until` None: never.
    """

    start: Mapping[TopicPartition, int] | None = None
    until: Mapping[TopicPartition, int] | None = None


@dataclass(slots=True)
class Progress:
    """A partition that is read: the next offset to decide, Kafka's time of the last one decided (in
    seconds), and when the log's end was last reached. `check` is the offset of the last row: the
    record there is fetched once more, to see that it is still the same. `last` is the offset and the
    digest of the last row that was decided here.
    """

    next_offset: int
    last_record: float = 0.0
    caught_up: float = 0.0
    check: int | None = None
    last: tuple[int, str] | None = None

    def moved(self, row: Row) -> None:
        """A partition's next row was decided."""
        self.next_offset, self.last_record = row.offset + 1, row.timestamp / 1000
        self.last = (row.offset, row.digest)


class Assignment:
    """What this member reads. Its coroutines are called one at a time."""

    def __init__(
        self, consumer: Any, batch: IngestBatch, stops: StopPartitions, bounds: Bounds, meter: Meter
    ) -> None:
        """`consumer` is aiokafka's."""
        self._consumer = consumer
        self._batch = batch
        self._stops = stops
        self._bounds = bounds
        self._meter = meter
        self._claimed: dict[TopicPartition, int | None] = {}
        self._begun: dict[TopicPartition, int] = {}
        self._taken = False
        self.reading: dict[TopicPartition, Progress] = {}
        self.stopped: dict[TopicPartition, Stop] = {}
        self.done: set[TopicPartition] = set()

    async def take(self, partitions: Iterable[KafkaPartition]) -> None:
        """Claim partitions, and read each from where the ledger stands."""
        kafka = list(partitions)
        self.hold(kafka)
        self.drop()
        places = [TopicPartition(*partition) for partition in kafka]
        self._claimed = await asyncio.to_thread(self._batch.claim, places)
        known = sum(offset is not None for offset in self._claimed.values())
        if known and self._bounds.start is not None:
            log.info("ingest.from_ignored", partitions=known, reason="the ledger knows them")
        if kafka:
            starts = await self._consumer.beginning_offsets(kafka)
            ends = await self._consumer.end_offsets(kafka)
            stops = await asyncio.to_thread(self._stops.known, self._keys())
            for tp, offset in self._claimed.items():
                key = KafkaPartition(*tp)
                stop = stops.get(self._batch.key(tp))
                await self._place(tp, offset, starts[key], ends[key], stop)
        if self._begun and not await self._begin_all():
            await self.take(kafka)  # another member began to read them at the same time
            return
        self._taken = True
        self._report()

    def hold(self, partitions: Sequence[KafkaPartition]) -> None:
        """Let nothing be fetched of them yet; to be called before anything is awaited."""
        for partition in partitions:
            self._consumer.seek(partition, 0)
        self._consumer.pause(*partitions)

    def release(self) -> None:
        """Take nothing more of what is held; what was decided of it may still be committed."""
        self.reading, self._taken = {}, False

    def drop(self) -> None:
        """Hold nothing."""
        self._claimed, self.reading, self.stopped, self.done = {}, {}, {}, set()
        self._taken = False

    def limit(self, tp: TopicPartition) -> int | None:
        """The offset at which reading of a partition ends."""
        until = self._bounds.until
        return None if until is None else until.get(tp, 0)

    def finish(self, tp: TopicPartition) -> None:
        """The partition's end, as it was asked for, is reached."""
        self.done.add(tp)
        self._consumer.pause(KafkaPartition(*tp))

    def left(self) -> int:
        """How many offsets lie before the end that was asked for."""
        ends = (
            (self.limit(tp) or 0) - progress.next_offset for tp, progress in self.reading.items()
        )
        return sum(max(end, 0) for end in ends)

    @property
    def finished(self) -> bool:
        """Whether everything that was asked for, of what is held, has been read."""
        return self._bounds.until is not None and self._taken and self.done == self.reading.keys()

    def is_same(self, tp: TopicPartition, first: Record) -> bool:
        """Whether the log is still the one that was read, by the first record fetched of it.

        A topic that was deleted and made again may have grown past the stored offset meanwhile.
        """
        progress = self.reading[tp]
        check, progress.check = progress.check, None
        if check is None or first.offset != check:
            return True
        if progress.last is None:
            return self._batch.is_last(first)
        return progress.last == (first.offset, sha256_hex(first.value or b""))

    def read_on(self, tp: TopicPartition, lost: int) -> bool:
        """Whether only the record to compare with is gone, by retention: then read on without it."""
        progress = self.reading.get(tp)
        if progress is None or progress.check is None or lost >= progress.next_offset:
            return False
        progress.check = None
        with contextlib.suppress(IllegalStateError):  # a rebalance is under way
            self._consumer.seek(KafkaPartition(*tp), progress.next_offset)
        return True

    def check_again(self) -> set[KafkaPartition]:
        """Fetch the last record of each partition once more, as after an assignment; which these are."""
        again = set()
        for tp, progress in self.reading.items():
            last = progress.last[0] if progress.last else self._batch.last(tp)
            if last is not None and tp not in self.done:
                progress.check = last
                again.add(KafkaPartition(*tp))
                with contextlib.suppress(IllegalStateError):  # a rebalance is under way
                    self._consumer.seek(KafkaPartition(*tp), last)
        return again

    async def stop(self, tp: TopicPartition, offset: int, *, anew: bool = False) -> None:
        """The log does not reach to this offset (any more), or is another one."""
        key = KafkaPartition(*tp)
        self._consumer.pause(key)
        self.reading.pop(tp, None)
        starts = await self._consumer.beginning_offsets([key])
        ends = await self._consumer.end_offsets([key])
        await self._stop(tp, offset, starts[key], ends[key], anew=anew)
        self._report()

    async def has_moved(self) -> bool:
        """Whether a gap was accepted for a stopped partition."""
        waiting = {tp: self._claimed[tp] for tp in self.stopped}
        return bool(waiting) and await asyncio.to_thread(self._batch.moved, waiting)

    async def positions(self, undecided: AbstractSet[TopicPartition]) -> dict[TopicPartition, int]:
        """Where reading stands beyond the last record decided: transaction markers, compacted ones.

        Not of partitions of which something was fetched and is `undecided`: it would be skipped.

        Stored too: a log that ends with a marker and is then expired would else seem to have lost it.
        """
        found = {}
        for tp, progress in list(self.reading.items()):
            if tp in undecided:
                continue
            position = await self._consumer.position(KafkaPartition(*tp))
            end = self.limit(tp)
            if end is not None:
                position = min(position, end)  # what was fetched beyond was not decided
            if progress.check is None and position > progress.next_offset and tp in self.reading:
                found[tp] = progress.next_offset = position
            if end is not None and progress.next_offset >= end:
                self.finish(tp)
        return found

    def pause(self) -> None:
        """Read nothing for now."""
        self._switch(self._consumer.pause)

    def resume(self) -> None:
        """Read on."""
        self._switch(self._consumer.resume)

    def _switch(self, switch: Any) -> None:
        wanted = [KafkaPartition(*tp) for tp in self.reading if tp not in self.done]
        with contextlib.suppress(IllegalStateError):  # a rebalance is under way
            switch(*wanted)

    async def _place(
        self, tp: TopicPartition, offset: int | None, start: int, end: int, known: Stop | None
    ) -> None:
        if offset is None:
            offset = await self._begin(tp, start, end)
        elif known is not None:
            self.stopped[tp] = known
            return
        elif not start <= offset <= end:
            await self._stop(tp, offset, start, end)
            return
        last = self._batch.last(tp)
        check = last if last is not None and start <= last < offset else None
        self.reading[tp] = Progress(offset, caught_up=time.time(), check=check)
        with contextlib.suppress(IllegalStateError):  # a rebalance is under way: it places anew
            self._consumer.seek(KafkaPartition(*tp), offset if check is None else check)
            self._consumer.resume(KafkaPartition(*tp))
        if (limit := self.limit(tp)) is not None and offset >= limit:
            self.finish(tp)

    async def _begin(self, tp: TopicPartition, start: int, end: int) -> int:
        """A partition that the ledger does not know; a later start than its first record is a gap."""
        if self._bounds.start is None:
            self._begun[tp] = start
            return start
        wanted = min(max(self._bounds.start.get(tp, start), start), end)
        if wanted > start:
            note = {"accepted_by": "ingest", "reason": "--from", "log_start": str(start)}
            await asyncio.to_thread(self._batch.accept_gap, tp, wanted, anew=False, note=note)
            self._claimed[tp] = wanted
        else:
            self._begun[tp] = wanted
        return wanted

    async def _begin_all(self) -> bool:
        """Commit where the partitions that the ledger did not know begin; False if somebody else did.

        So every partition that is read has a stored offset, and a loss before its first row is seen.
        """
        begun, self._begun = self._begun, {}
        try:
            await asyncio.to_thread(self._batch.commit, [], begun)
        except NotReady:
            return False
        self._claimed.update(begun)
        return True

    async def _stop(
        self, tp: TopicPartition, offset: int, start: int, end: int, *, anew: bool = False
    ) -> None:
        found = Stop(
            partition_key=self._batch.key(tp),
            next_offset=offset,
            log_start=start,
            log_end=end,
            reason="expired" if offset < start and not anew else "made_anew",
            since=datetime.now(UTC),
        )
        self.stopped[tp] = found
        await asyncio.to_thread(self._stops.stop, found)

    def _keys(self) -> dict[str, int]:
        """The stored next offset of what is claimed and known, by partition key."""
        known = {tp: offset for tp, offset in self._claimed.items() if offset is not None}
        return {self._batch.key(tp): offset for tp, offset in known.items()}

    def _report(self) -> None:
        self._meter.set(Metric.INGEST_PARTITIONS, len(self._claimed))
        self._meter.set(Metric.STOPPED_PARTITIONS, len(self.stopped))
