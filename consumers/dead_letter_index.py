"""Which records have a dead letter on the dead-letter topic, by its `lorikeet_id`."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from consumers.log_walk import LogReader
from schemas.letters import Letter
from schemas.records import Record, TopicPartition
from stores.ledger.scan import Offsets


@dataclass(frozen=True, slots=True)
class Unfound:
    """Offsets without a dead letter: lost ones, and those whose letter the topic has expired."""

    lost: Offsets
    expired: Offsets


class DeadLetterIndex:
    """Offsets of the records that have a dead letter, eight bytes each."""

    def __init__(self) -> None:
        self._offsets: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._sorted: dict[str, Offsets] = {}
        self._beginning_expired = False

    async def read(self, log: LogReader, topic: str, done: Callable[[int], None]) -> None:
        """Walk the dead-letter topic as it is now; `done` is told how many offsets were passed."""
        for tp in await log.partitions(topic):
            bounds = await log.bounds(tp)
            self._beginning_expired |= bounds.first > 0
            async for span in log.walk(tp, bounds.first, bounds.stable):
                for record in span.records:
                    self._note(record)
                done(span.end - span.first)
        self._sorted = {
            place: np.unique(np.asarray(offsets, np.int64))
            for place, offsets in self._offsets.items()
        }
        self._offsets.clear()

    def without(
        self, cluster: str, tp: TopicPartition, incarnation: int, offsets: Offsets
    ) -> Unfound:
        """Those of a partition's dead-letter rows that have none.

        Ingest publishes a partition's letters in the order of their offsets, and retention takes the
        oldest: below the first letter that is left they have expired, above it they were lost.
        """
        known = self._known(cluster, tp, incarnation)
        absent = np.setdiff1d(offsets, known)
        if not self._beginning_expired:
            return Unfound(absent, absent[:0])
        oldest = known[0] if len(known) else np.iinfo(np.int64).max
        return Unfound(absent[absent > oldest], absent[absent < oldest])

    def having(
        self, cluster: str, tp: TopicPartition, incarnation: int, offsets: Offsets
    ) -> Offsets:
        """Those of a partition's rows that have a letter."""
        return np.intersect1d(offsets, self._known(cluster, tp, incarnation))

    def _known(self, cluster: str, tp: TopicPartition, incarnation: int) -> Offsets:
        place = f"{cluster}-{tp.topic}-{tp.partition}.{incarnation}"
        return self._sorted.get(place, np.empty(0, np.int64))

    def _note(self, record: Record) -> None:
        letter = Letter.of(record)
        if letter is None:
            return
        place, _, last = letter.id.rpartition("-")
        offset, _, incarnation = last.partition(".")
        if offset.isdecimal():
            self._offsets[f"{place}.{incarnation or 0}"].append(int(offset))
