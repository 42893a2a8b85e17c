"""One partition: what its log holds against what the ledger says it held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from consumers.dead_letter_index import DeadLetterIndex
from consumers.log_walk import Kind, LogEnds, Span
from schemas.digests import sha256_hex
from schemas.envelope import decode
from schemas.errors import Code, InvalidEvent
from schemas.records import Record, TopicPartition
from schemas.rows import Disposition
from stores.ledger.scan import DISPOSITIONS, UNKNOWN, Offsets, PartitionRows

_NAMED = 5
"""Offenders of one kind that are named for each partition; all are counted."""


@dataclass(slots=True)
class Offence:
    """What breaks the promise of one row a record: how often, and where it is met first."""

    what: str
    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, offsets: Sequence[int] | Offsets) -> None:
        """Count offsets."""
        self.count += len(offsets)
        self.first += [int(one) for one in offsets[: _NAMED - len(self.first)]]


@dataclass(slots=True)
class PartitionReport:
    """The sums of one partition. `next_offset` is None where the ledger never read it.

    `received` are the records below `next_offset` that a read_committed consumer can receive, but for
    those in an accepted gap and those whose row the ledger's retention has dropped; dispositions count
    those of them that have a row.
    """

    topic: str
    partition: int
    incarnation: int
    first: int
    end: int
    next_offset: int | None
    received: int = 0
    accepted: int = 0
    review: int = 0
    rejected: int = 0
    duplicate: int = 0
    dead_letter: int = 0
    markers: int = 0
    aborted: int = 0
    compacted: int = 0
    compacted_with_row: int = 0
    expired_with_row: int = 0
    expired_without_row: int = 0
    expired_in_gap: int = 0
    in_gap: int = 0
    retired: int = 0
    not_yet_read: int = 0
    letters_expired: int = 0
    offences: dict[str, Offence] = field(default_factory=dict)

    def offend(self, what: str, offsets: Sequence[int] | Offsets) -> None:
        """Note offsets at which the ledger is wrong."""
        if len(offsets):
            self.offences.setdefault(what, Offence(what)).add(offsets)

    def count(self, what: str) -> int:
        """How many offences of one kind."""
        return self.offences[what].count if what in self.offences else 0

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        known = asdict(self)
        known["offences"] = {name: [one.count, one.first] for name, one in self.offences.items()}
        return known


MISSING = "missing"
DOUBLED = "doubled"
DIFFERENT = "different"
UNDECIDED = "undecided"
RELABELLED = "relabelled"
PHANTOM = "phantom"
AHEAD = "ahead"
UNPUBLISHED = "unpublished"
GAP = "gap"
BEYOND = "beyond"
OFFENCES = {
    MISSING: "records without a row",
    DOUBLED: "rows too many of one record",
    DIFFERENT: "rows whose size or digest is not their record's",
    UNDECIDED: "rows whose disposition is none",
    RELABELLED: "rows that are no dead letters, though their record is one",
    PHANTOM: "rows where no record can be received",
    AHEAD: "rows that no stored offset covers",
    UNPUBLISHED: "dead letters that are not on their topic",
    GAP: "offsets that expired unread, in no accepted gap",
    BEYOND: "stored offsets beyond the log's end",
}
_BY_SETTINGS = frozenset({Code.TOO_LARGE, Code.TOO_DEEP, Code.TOO_MANY_MESSAGES})
"""What a record that died of may be accepted later, under other settings."""


class Reconciliation:
    """Takes a partition's spans in order; `report` holds the sums so far."""

    def __init__(
        self, tp: TopicPartition, incarnation: int, bounds: LogEnds, next_offset: int | None
    ) -> None:
        self.report = PartitionReport(*tp, incarnation, bounds.first, bounds.stable, next_offset)
        self._next = next_offset or 0
        self._gaps: Sequence[tuple[int, int]] = ()
        self._kept_from = self._dropped = 0
        self._lettered: frozenset[int] = frozenset()
        self._rows = PartitionRows(*(np.empty(0, kind) for kind in ("i8", "i1", "i8", "S64")))

    def take_rows(
        self, rows: PartitionRows, gaps: Sequence[tuple[int, int]], *, dropped: int
    ) -> None:
        """The ledger's side: rows, the accepted gaps as [first, end), and how many rows retention has
        dropped: always a partition's oldest, so those below the first one that is left.
        """
        self._rows, self._gaps, self._dropped = rows, gaps, dropped
        if dropped:
            self._kept_from = int(rows.offsets[0]) if len(rows.offsets) else self._next
        report = self.report
        report.offend(DOUBLED, rows.doubled())
        report.offend(UNDECIDED, rows.offsets[rows.dispositions == UNKNOWN])
        report.offend(PHANTOM, rows.offsets[rows.offsets < 0])
        self._expire(0, report.first)
        if report.next_offset is None:
            return
        if self._next > report.end:
            report.offend(BEYOND, [self._next])
        if self._next < report.first:
            report.offend(GAP, range(self._next, report.first))

    def take(self, span: Span) -> None:
        """The log's side, one span after the other."""
        report, length = self.report, span.end - span.first
        rows = self._rows.between(span.first, span.end)
        if span.kind is Kind.DATA:
            self._compare(span.records, rows)
        elif span.kind is Kind.HOLE:
            report.compacted += length
            report.compacted_with_row += len(np.unique(self._rows.offsets[rows]))
        elif span.kind is Kind.EXPIRED:
            self._expire(span.first, span.end)
        else:
            report.markers += length if span.kind is Kind.MARKER else 0
            report.aborted += length if span.kind is Kind.ABORTED else 0
            report.offend(PHANTOM, self._rows.offsets[rows])

    def take_letters(self, cluster: str, letters: DeadLetterIndex) -> None:
        """The dead-letter topic's side."""
        dead = self._rows.dispositions == DISPOSITIONS.index(Disposition.DEAD_LETTER)
        offsets = np.unique(self._rows.offsets[dead])
        tp = TopicPartition(self.report.topic, self.report.partition)
        found = letters.without(cluster, tp, self.report.incarnation, offsets[offsets < self._next])
        self.report.offend(UNPUBLISHED, found.lost)
        self.report.letters_expired = len(found.expired)
        others = np.setdiff1d(self._rows.offsets, offsets)
        lettered = letters.having(cluster, tp, self.report.incarnation, others)
        self._lettered = frozenset(lettered.tolist())

    def take_ahead(self, next_offset: int) -> None:
        """Rows at or above the offset that the ledger stored after they were read."""
        self.report.offend(AHEAD, self._rows.offsets[self._rows.offsets >= next_offset])

    def newest(self) -> int:
        """The greatest offset that has a row; −1 without any."""
        return int(self._rows.offsets[-1]) if len(self._rows.offsets) else -1

    def _expire(self, first: int, end: int) -> None:
        report = self.report
        known = len(np.unique(self._rows.offsets[self._rows.between(first, end)]))
        excused = sum(max(min(end, until) - max(first, since), 0) for since, until in self._gaps)
        report.expired_with_row += known
        report.expired_in_gap += excused
        report.expired_without_row += max(end - first - known - excused, 0)

    def _compare(self, records: Sequence[Record], rows: slice) -> None:
        below = [record for record in records if record.offset < self._next]
        self.report.not_yet_read += len(records) - len(below)
        read = [record for record in below if not self._excused(record.offset)]
        self.report.in_gap += len(below) - len(read)
        kept = [record for record in read if record.offset >= self._kept_from]
        gone = len(read) - len(kept)
        retired = min(gone, self._dropped - self.report.retired)
        self.report.retired += retired
        read = read[retired:]  # rows lie in offset order, and so do those that retention drops
        self.report.received += len(read)
        for record, place in zip(read, self._places(read, rows), strict=True):
            if place is None:
                self.report.offend(MISSING, [record.offset])
            else:
                self._compare_one(record, place)

    def _excused(self, offset: int) -> bool:
        return any(first <= offset < end for first, end in self._gaps)

    def _places(self, read: Sequence[Record], rows: slice) -> Iterator[int | None]:
        """Each record's row, by its place; None where it has none."""
        offsets = self._rows.offsets[rows]
        wanted = np.fromiter((record.offset for record in read), np.int64, len(read))
        for place, offset in zip(np.searchsorted(offsets, wanted), wanted, strict=True):
            there = place < len(offsets) and offsets[place] == offset
            yield rows.start + int(place) if there else None

    def _compare_one(self, record: Record, place: int) -> None:
        code = self._rows.dispositions[place]
        if code != UNKNOWN:
            name = DISPOSITIONS[code]
            setattr(self.report, name, getattr(self.report, name) + 1)
        if record.offset in self._lettered and _never_readable(record):
            self.report.offend(RELABELLED, [record.offset])
        value = record.value or b""
        same = self._rows.sizes[place] == len(value)
        if not same or self._rows.digests[place] != sha256_hex(value).encode():
            self.report.offend(DIFFERENT, [record.offset])


def _never_readable(record: Record) -> bool:
    """Whether no settings make an event of it."""
    try:
        decode(record)
    except InvalidEvent as error:
        return error.code not in _BY_SETTINGS
    return False
