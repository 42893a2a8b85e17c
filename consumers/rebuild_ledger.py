"""A new ledger from Kafka: every record of the topics, decided again by ingest's own path.

Dead letters that are on their topic are not published a second time; those of records that the old
ledger had not reached yet are published now. The old ledger tells how far it was, and what it has that
Kafka no longer has; it is kept beside the new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from consumers.dead_letter_index import DeadLetterIndex
from consumers.dead_letters import DeadLetters
from consumers.log_walk import LogEnds, LogReader
from consumers.verify_ledger import Progress, newest_incarnation
from operations.ingest_batch import IngestBatch
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.records import Record, TopicPartition, partition_key
from schemas.rows import Disposition, Row
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.hold import alone
from stores.ledger.replace import Replacement
from stores.ledger.scan import Scan, any_retired, partition_rows, where
from stores.ledger.schema import LEDGER_VERSION

_COMMIT_ROWS = 5_000
Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it: rows of the new ledger, rows of the old one that it lacks (None: unknown)."""

    rows: int
    lost: int | None
    before: Path


class RebuildLedger:
    """Builds beside, then swaps. Interrupted anywhere, a second call goes on."""

    def __init__(
        self,
        ledger: Path,
        cluster: str,
        batch: Callable[[Path], IngestBatch],
        dead_letters: DeadLetters,
        recount: Callable[[], None],
        kind: str,
    ) -> None:
        """`batch` makes ingest's path for a ledger; `kind` names the settings that decide rows."""
        self._ledger = ledger
        self._cluster = cluster
        self._batch = batch
        self._dead_letters = dead_letters
        self._published = DeadLetterIndex()
        self._reached: dict[TopicPartition, int] = {}
        self._recount = recount
        self._replacement = Replacement(ledger, f"{cluster} {LEDGER_VERSION} {kind}")
        self._version: int | None = None

    async def __call__(
        self,
        log: LogReader,
        topics: Sequence[str],
        now: datetime,
        *,
        accept_loss: bool,
        say: Progress = lambda *_: None,
        fault: Step = lambda _: None,
    ) -> Rebuilt:
        """Rebuild up to the topics' ends as of now.

        Raises NotReady(LEDGER_IN_USE) while ingest writes, Unrecoverable(RECORDS_EXPIRED) if rows
        would be lost and that is not accepted: then the old ledger stays.
        """
        with alone(self._ledger):
            if (before := self._replacement.resume()) is not None:
                return self._finish(before, None)
            bounds = {
                tp: await log.bounds(tp) for name in topics for tp in await log.partitions(name)
            }
            numbers = self._look(bounds, accept_loss=accept_loss)
            self._replacement.begin()
            await self._published.read(log, self._dead_letters.topic, lambda _: None)
            await self._build(log, bounds, numbers, say, fault)
            lost = self._lost(numbers, accept_loss=accept_loss)
            self._check_unmoved()
            fault("built")
            before = self._replacement.swap(now)
            fault("swapped")
            return self._finish(before, lost)

    def _finish(self, before: Path, lost: int | None) -> Rebuilt:
        self._recount()
        self._replacement.done()
        return Rebuilt(Scan(self._ledger).count(), lost, before)

    def _look(
        self, bounds: Mapping[TopicPartition, LogEnds], *, accept_loss: bool
    ) -> dict[TopicPartition, int]:
        """Each partition's incarnation; refuses at once where rows are known to be lost."""
        offsets: Mapping[str, int] = {}
        try:
            offsets = DeltaLedgerReader(self._ledger).offsets()
            scan = Scan(self._ledger)
            below = self._below(scan, bounds)
        except Unrecoverable as error:
            if not accept_loss:
                raise _unknown(error) from error
        else:
            self._version = scan.version
            _refuse(below, accept_loss=accept_loss)
        if not accept_loss and any_retired(self._ledger):
            detail = "the counts of the days that its retention dropped would be lost"
            raise Unrecoverable(Code.RECORDS_EXPIRED, detail)
        numbers = {tp: newest_incarnation(offsets, self._cluster, tp) for tp in bounds}
        for tp, number in numbers.items():
            self._reached[tp] = offsets.get(partition_key(self._cluster, *tp, number), 0)
        return numbers

    def _below(self, scan: Scan, bounds: Mapping[TopicPartition, LogEnds]) -> int:
        """Rows of records that Kafka no longer has."""
        of = self._cluster
        return sum(
            scan.count(where(cluster=of, topic=tp.topic, partition=tp.partition, below=found.first))
            for tp, found in bounds.items()
        )

    async def _build(
        self,
        log: LogReader,
        bounds: Mapping[TopicPartition, LogEnds],
        numbers: Mapping[TopicPartition, int],
        say: Progress,
        fault: Step,
    ) -> None:
        batch = self._batch(self._replacement.folder)
        claimed = await asyncio.to_thread(batch.claim, list(bounds))
        total, passed = sum(b.stable - b.first for b in bounds.values()), 0
        for tp, found in bounds.items():
            if claimed[tp] is None:
                self._anew(batch, tp, numbers[tp], found.first)
            start = found.first if claimed[tp] is None else claimed[tp] or 0
            passed += start - found.first
            rows: list[Row] = []
            async for span in log.walk(tp, start, found.stable):
                decided = batch.decide(span.records)
                await self._publish(tp, zip(span.records, decided, strict=True))
                rows += decided
                passed += span.end - span.first
                if len(rows) >= _COMMIT_ROWS or span.end == found.stable:
                    await asyncio.to_thread(batch.commit, rows, {tp: span.end})
                    rows = []
                    fault("committed")
                say(f"{tp.topic}[{tp.partition}]", passed, total)

    async def _publish(self, tp: TopicPartition, pairs: Iterable[tuple[Record, Row]]) -> None:
        """Dead letters that their topic lacks, but for those that it had and has expired."""
        dead = [pair for pair in pairs if pair[1].disposition is Disposition.DEAD_LETTER]
        if not dead:
            return
        offsets = np.fromiter((record.offset for record, _ in dead), np.int64, len(dead))
        found = self._published.without(self._cluster, tp, dead[0][1].incarnation, offsets)
        reached = self._reached.get(tp, 0)
        wanted = {int(one) for one in found.lost} | {int(o) for o in found.expired if o >= reached}
        await self._dead_letters.send([pair for pair in dead if pair[0].offset in wanted])

    def _anew(self, batch: IngestBatch, tp: TopicPartition, number: int, first: int) -> None:
        """Rows of a topic that was made anew keep their number, and so their identity."""
        for _ in range(number):
            note = {"accepted_by": "rebuild", "reason": "the topic was made anew before"}
            batch.accept_gap(tp, first, anew=True, note=note)

    def _lost(self, numbers: Mapping[TopicPartition, int], *, accept_loss: bool) -> int | None:
        """Rows of the old ledger that the new one lacks; None where it cannot be read."""
        if self._version is None:
            return None
        try:
            lost = Scan(self._ledger).count()
            for tp, number in numbers.items():
                old, new = (
                    partition_rows(path, self._cluster, tp, number).offsets
                    for path in (self._ledger, self._replacement.folder)
                )
                lost -= int(np.isin(old, new, assume_unique=False).sum())
        except Unrecoverable as error:
            if not accept_loss:
                raise _unknown(error) from error
            return None
        _refuse(lost, accept_loss=accept_loss)
        return lost

    def _check_unmoved(self) -> None:
        """A writer on another machine, which no lock of this one holds."""
        if self._version is not None and Scan(self._ledger).version != self._version:
            raise NotReady(Code.LEDGER_IN_USE, f"{self._ledger} was written meanwhile")


def _refuse(lost: int, *, accept_loss: bool) -> None:
    if lost and not accept_loss:
        raise Unrecoverable(Code.RECORDS_EXPIRED, f"{lost} rows would be lost")


def _unknown(error: Unrecoverable) -> Unrecoverable:
    return Unrecoverable(
        Code.RECORDS_EXPIRED,
        f"the old ledger cannot be read ({error.what}), so nobody knows what it holds",
        remedy="give --accept-loss to take what Kafka has",
    )
