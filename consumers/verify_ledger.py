"""Every record of the input topics against the ledger and the dead letters.

The ledger's offsets are taken first, then the dead letters, then partition by partition rows and log:
what is written meanwhile lies above those offsets and counts as not yet read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from consumers.dead_letter_index import DeadLetterIndex
from consumers.log_walk import LogEnds, LogReader
from consumers.reconcile import PartitionReport, Reconciliation
from consumers.stray_rows import stray_rows
from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition, partition_key
from stores.control import tallies
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.gaps import Gap
from stores.ledger.place import Place
from stores.ledger.scan import partition_rows

Progress = Callable[[str, int, int], None]
"""Called with what is being read, how many offsets of how many were passed."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is verified: input topics, and where their dead letters are. None: every partition.

    `narrowed`: these are not all input topics, so rows of others are none of its business.
    """

    topics: Sequence[str]
    dead_letter_topic: str
    partition: int | None = None
    narrowed: bool = False


class VerifyLedger:
    """Compares one ledger with one cluster."""

    def __init__(self, ledger: Path | Place, reader: DeltaLedgerReader, cluster: str) -> None:
        self._ledger = ledger
        self._reader = reader
        self._cluster = cluster
        self._gaps: Sequence[Gap] = ()
        self._dropped: dict[str, Counter[TopicPartition]] = {}
        self._passed = 0
        self._total = 0

    async def __call__(
        self, log: LogReader, scope: Scope, say: Progress = lambda *_: None
    ) -> list[PartitionReport]:
        """The sums of each partition. Memory: the rows' numbers and digests of one partition."""
        offsets = await asyncio.to_thread(self._reader.offsets)
        self._gaps = await asyncio.to_thread(self._reader.gaps)
        bounds = await self._bounds(log, scope)
        letters = await self._letters(log, scope, bounds, say)
        reports = [
            await self._partition(log, tp, bounds[tp], offsets, letters, say) for tp in bounds
        ]
        known = {_place(report) for report in reports}
        strays = await asyncio.to_thread(self._strays, scope)
        return [*reports, *(one for one in strays if _place(one) not in known)]

    async def _bounds(self, log: LogReader, scope: Scope) -> dict[TopicPartition, LogEnds]:
        known = [tp for topic in scope.topics for tp in await log.partitions(topic)]
        meant = [tp for tp in known if scope.partition in (None, tp.partition)]
        if not meant:
            detail = f"{', '.join(scope.topics)} has no partition {scope.partition}"
            raise Unrecoverable(Code.NO_TOPIC, detail, remedy="name one that it has")
        return {tp: await log.bounds(tp) for tp in meant}

    async def _letters(
        self, log: LogReader, scope: Scope, known: Mapping[TopicPartition, LogEnds], say: Progress
    ) -> DeadLetterIndex:
        mine = [await log.bounds(tp) for tp in await log.partitions(scope.dead_letter_topic)]
        self._total = sum(one.stable - one.first for one in [*known.values(), *mine])
        letters = DeadLetterIndex()
        await letters.read(
            log, scope.dead_letter_topic, lambda n: self._advance(say, "dead letters", n)
        )
        return letters

    async def _partition(
        self,
        log: LogReader,
        tp: TopicPartition,
        bounds: LogEnds,
        offsets: Mapping[str, int],
        letters: DeadLetterIndex,
        say: Progress,
    ) -> PartitionReport:
        number = newest_incarnation(offsets, self._cluster, tp)
        key = partition_key(self._cluster, *tp, number)
        found = Reconciliation(tp, number, bounds, offsets.get(key))
        rows = await asyncio.to_thread(partition_rows, self._ledger, self._cluster, tp, number)
        gaps = [(gap.start, gap.end) for gap in self._gaps if gap.key == key]
        dropped = await asyncio.to_thread(self._dropped_of, tp)
        found.take_rows(rows, gaps, dropped=dropped)
        found.take_letters(self._cluster, letters)
        if found.newest() >= offsets.get(key, 0):
            found.take_ahead((await asyncio.to_thread(self._reader.offsets)).get(key, 0))
        async for span in log.walk(tp, bounds.first, bounds.stable):
            found.take(span)
            self._advance(say, f"{tp.topic}[{tp.partition}]", span.end - span.first)
        return found.report

    def _strays(self, scope: Scope) -> list[PartitionReport]:
        topics = scope.topics if scope.narrowed else ()
        return stray_rows(self._ledger, self._reader, self._cluster, topics, scope.partition)

    def _dropped_of(self, tp: TopicPartition) -> int:
        """How many rows retention has dropped; asked after the rows were read, so none is overlooked."""
        for name in self._reader.retired():
            if name not in self._dropped:
                found = tallies.thawed(self._reader.tally(name)).dispositions
                self._dropped[name] = Counter()
                for (topic, partition, _), count in found.items():
                    self._dropped[name][TopicPartition(topic, partition)] += count
        return sum(counts[tp] for counts in self._dropped.values())

    def _advance(self, say: Progress, what: str, passed: int) -> None:
        self._passed += passed
        say(what, self._passed, self._total)


def _place(report: PartitionReport) -> tuple[str, int, int]:
    return report.topic, report.partition, report.incarnation


def newest_incarnation(offsets: Mapping[str, int], cluster: str, tp: TopicPartition) -> int:
    """The newest topic of that name that the ledger's offsets know; 0 if none."""
    number = 0
    while partition_key(cluster, *tp, number + 1) in offsets:
        number += 1
    return number
