"""From decided rows to a durable commit, one at a time, while the next records are decided.

What cannot be written now is tried again with growing pauses: its partitions are never overtaken.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

import structlog

from consumers.dead_letters import DeadLetters
from operations.ingest_batch import Fault, IngestBatch
from schemas.errors import Code, NotReady
from schemas.letters import stage_of
from schemas.records import Record, TopicPartition
from schemas.rows import Disposition, Row
from schemas.telemetry import Meter, Metric

log = structlog.get_logger(__name__)
_LONGEST_PAUSE = 30.0
_SLICE_BYTES = 1024 * 1024
T = TypeVar("T")


@dataclass(slots=True)
class Waiting:
    """What is decided and not committed: rows, the raw dead letters, the next offsets.

    `size` is that of the events, and of what the dead letters hold beside, in bytes. `oldest` is the
    smallest Kafka timestamp in it, in milliseconds; `since` when the first row came,
    by the monotonic clock.
    """

    rows: list[Row] = field(default_factory=list)
    letters: list[tuple[Record, Row]] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    size: int = 0
    oldest: int | None = None
    since: float | None = None

    def add(self, tp: TopicPartition, records: Sequence[Record], rows: Sequence[Row]) -> None:
        """Take up the next records of a partition."""
        self.rows += rows
        letters = [
            (record, row)
            for record, row in zip(records, rows, strict=True)
            if row.disposition is Disposition.DEAD_LETTER
        ]
        self.letters += letters
        self.offsets[tp] = records[-1].offset + 1
        self.size += sum(row.size for row in rows)
        self.size += sum(weight(record) - row.size for record, row in letters)  # key and headers
        first = min(record.timestamp for record in records)
        self.oldest = first if self.oldest is None else min(self.oldest, first)
        self.since = self.since or time.monotonic()


def weight(record: Any) -> int:
    """What a record holds in memory, roughly, in bytes: value, key and headers."""
    size = len(record.value or b"") + len(record.key or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"")
    return size


def slices(records: Sequence[T]) -> Iterator[tuple[Sequence[T], int]]:
    """Records in pieces of about a MiB, one at least, each with its `weight`: decided without a pause."""
    begin = size = 0
    for place, record in enumerate(records):
        size += weight(record)
        if size >= _SLICE_BYTES:
            yield records[begin : place + 1], size
            begin, size = place + 1, 0
    if begin < len(records):
        yield records[begin:], size


class Flusher:
    """At most one commit under way. Its failure is raised by `settle`.

    `committed` counts the rows committed so far, by disposition.
    """

    def __init__(
        self,
        batch: IngestBatch,
        dead_letters: DeadLetters | None,
        tell_kafka: Callable[[Mapping[TopicPartition, int]], Awaitable[None]],
        meter: Meter,
        fault: Fault,
    ) -> None:
        """`tell_kafka` returns offsets as advice for lag tools. Without `dead_letters` none are sent."""
        self._batch = batch
        self._dead_letters = dead_letters
        self._tell_kafka = tell_kafka
        self._meter = meter
        self._fault = fault
        self._task: asyncio.Task[None] | None = None
        self._waiting = Waiting()
        self._given_up = asyncio.Event()
        self.committed: Counter[str] = Counter()
        meter.count(
            Metric.COMMIT_FAILURES, 0, code=Code.PUBLISH_FAILED.number
        )  # seen before it rises

    @property
    def busy(self) -> bool:
        """Whether a commit is under way."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> Waiting:
        """What is being committed; empty when nothing is."""
        return self._waiting

    def start(self, waiting: Waiting) -> None:
        """Begin to commit; nothing else may be under way or unsettled."""
        assert self._task is None  # noqa: S101 - the loop settles first
        self._waiting = waiting
        self._given_up.clear()
        self._task = asyncio.create_task(self._flush(waiting))

    async def wait(self, seconds: float) -> bool:
        """Wait for the end of what is under way; whether it ended."""
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        return bool(done)

    def give_up(self) -> None:
        """Let what is under way be tried no more."""
        self._given_up.set()
        if self._task is not None:  # nobody may be left to ask how it ended
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def settle(self) -> None:
        """Wait until nothing is under way; raises why it failed.

        A commit that has begun in its thread is never abandoned: the writer serves one at a time.
        """
        if self._task is None:
            return
        task = self._task
        await asyncio.wait([task])
        self._task, self._waiting = None, Waiting()
        task.result()

    async def _flush(self, waiting: Waiting) -> None:
        """The steps of `operations.ingest_batch.STEPS`."""
        self._fault("decided")
        letters = self._dead_letters
        if letters is not None and waiting.letters:
            await self._repeat(lambda: letters.send(waiting.letters))
        self._fault("dead_letters_sent")
        await self._repeat(
            lambda: asyncio.to_thread(self._batch.commit, waiting.rows, waiting.offsets)
        )
        self._fault("committed")
        self._report(waiting)
        await self._tell_kafka(waiting.offsets)
        self._fault("offsets_returned")

    async def _repeat(self, work: Callable[[], Awaitable[object]]) -> None:
        """Until it works; a fence is not repeated, since another writer owns the partition."""
        pause = 1.0
        while True:
            try:
                await work()
            except NotReady as error:
                if error.code is Code.LEDGER_FENCED or self._given_up.is_set():
                    raise
                log.warning("ingest.not_committed", reason=str(error), again_in=pause)
                self._meter.count(Metric.COMMIT_FAILURES, code=error.code.number)
                await self._pause(pause, error)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    async def _pause(self, seconds: float, error: NotReady) -> None:
        try:
            await asyncio.wait_for(self._given_up.wait(), seconds)
        except TimeoutError:
            return
        raise error

    def _report(self, waiting: Waiting) -> None:
        now = time.time()
        self._meter.set(Metric.INGEST_LAST, now)
        if waiting.oldest is not None:
            age = max(now - waiting.oldest / 1000, 0.0)
            self._meter.observe(Metric.EVENT_TO_DURABLE, age)
        self.committed.update(map(attrgetter("disposition"), waiting.rows))
        for _, row in waiting.letters:
            self._meter.count(
                Metric.DEAD_LETTERS, code=row.error_code or "", stage=stage_of(row.error_code)
            )
