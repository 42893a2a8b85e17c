"""From records to committed rows. One commit order, written once.

The consumer may hand over records in any batches: rows are decided one by one, in partition order.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import structlog

from operations.known_erasures import Erasures, NothingErased
from operations.recall_seen import Newest, recall
from processors.curation.curate import Curator
from processors.curation.duplicates import Seen
from processors.curation.policy import CurationPolicy
from processors.curation.redacted_content import not_redacted
from processors.curation.residue import KINDS
from schemas.digests import sha256_hex
from schemas.errors import LorikeetError, NotReady
from schemas.events import INPUT_TYPES
from schemas.records import Record, TopicPartition, partition_key
from schemas.rows import Row
from schemas.telemetry import Meter, Metric
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.recall import Recall

log = structlog.get_logger(__name__)
STEPS = ("decided", "dead_letters_sent", "committed", "offsets_returned")
"""The commit's steps, in order; a fault hook is called after each."""
_READS = 5


class IngestBatch:
    """The decisions and the ledger's part of ingest, for the partitions this process holds."""

    def __init__(
        self,
        writer: DeltaLedgerWriter,
        reader: DeltaLedgerReader,
        cluster: str,
        policy: CurationPolicy,
        meter: Meter,
        erasures: Erasures | None = None,
    ) -> None:
        """Without `erasures` nothing is erased: there is no control database."""
        self._erasures = erasures or NothingErased()
        self._writer = writer
        self._reader = reader
        self._cluster = cluster
        self._policy = policy
        self._meter = meter
        self._curator = Curator(cluster, policy)
        for kind in KINDS:  # alerts need the zero
            meter.count(Metric.NOT_REDACTED, 0.0, kind=kind)
        self._seen: dict[TopicPartition, Seen] = {}
        self._newest: dict[TopicPartition, Newest] = {}
        self._written: dict[TopicPartition, Newest] = {}
        self._ends: dict[TopicPartition, tuple[int, int | None]] = {}

    @property
    def cluster(self) -> str:
        """The Kafka cluster's id."""
        return self._cluster

    def key(self, tp: TopicPartition) -> str:
        """The claimed partition's key in the ledger."""
        return self._writer.key(tp)

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Hold these partitions from now on; where each has to be read from (None: its start).

        What was seen of them is read back from the ledger, but for those whose stored offset is the one
        that this process committed last. That may take seconds: call it in a thread.
        """
        claimed = self._writer.claim(partitions)
        kept = {tp for tp, offset in claimed.items() if self._stands(tp, offset)}
        known = {**self._newest, **self._written}
        newest = {tp: last for tp, last in known.items() if tp in kept}
        seen = {tp: self._seen[tp] if tp in kept else self._forgetful() for tp in claimed}
        stored = {tp: at for tp, at in claimed.items() if at is not None and tp not in kept}
        if stored:
            recalled, found = self._read_back(stored)
            seen.update(recalled)
            newest.update(found)
        # Only now: what could not be read back is not taken for known the next time.
        self._seen, self._newest, self._written = seen, newest, {}
        self._ends = {tp: self._end(tp, offset) for tp, offset in claimed.items()}
        return claimed

    def _read_back(
        self, stored: Mapping[TopicPartition, int]
    ) -> tuple[dict[TopicPartition, Seen], dict[TopicPartition, Newest]]:
        """What was seen of partitions; again if an erasure writes the ledger anew meanwhile."""
        for attempt in itertools.count(1):
            seen = {tp: self._forgetful() for tp in stored}
            try:
                return seen, recall(self._recall(stored), seen, stored)
            except NotReady:
                if attempt == _READS:
                    raise
        raise AssertionError  # pragma: no cover - count has no end

    def _stands(self, tp: TopicPartition, offset: int | None) -> bool:
        """Whether what is known of a partition is what the ledger has: nothing read back again."""
        seen = self._seen.get(tp)
        same = self._ends.get(tp) == self._end(tp, offset)
        return seen is not None and same and seen.next_offset <= (offset or 0)

    def _end(self, tp: TopicPartition, offset: int | None) -> tuple[int, int | None]:
        return self._writer.incarnation(tp), offset

    def _recall(self, partitions: Iterable[TopicPartition]) -> Recall:
        numbers = {tp: self._writer.incarnation(tp) for tp in partitions}
        return self._reader.recall(self._cluster, numbers)

    def _forgetful(self) -> Seen:
        return Seen(self._policy.dedupe_window_ms, self._policy.dedupe_rows)

    def last(self, tp: TopicPartition) -> int | None:
        """The offset of the last row of a claimed partition's topic; None without any."""
        newest = self._newest.get(tp)
        return None if newest is None else newest.offset

    def is_last(self, record: Record) -> bool:
        """Whether a record is the one that the ledger read last, by its value's digest."""
        newest = self._newest[record.topic_partition]
        return (record.offset, sha256_hex(record.value or b"")) == (newest.offset, newest.digest)

    def moved(self, claimed: Mapping[TopicPartition, int | None]) -> bool:
        """Whether somebody else has moved one of these partitions since it was claimed."""
        offsets = self._reader.offsets()
        return any(
            offsets.get(self.key(tp)) != offset or self._anew(tp) in offsets
            for tp, offset in claimed.items()
        )

    def _anew(self, tp: TopicPartition) -> str:
        """The key of the topic that comes after the claimed one under its name."""
        return partition_key(self._cluster, *tp, self._writer.incarnation(tp) + 1)

    def accept_gap(
        self, tp: TopicPartition, start: int, *, anew: bool, note: Mapping[str, str]
    ) -> None:
        """See `DeltaLedgerWriter.accept_gap`."""
        self._writer.accept_gap(tp, start, anew=anew, note=note)
        self._ends[tp] = self._end(tp, start)
        if anew:
            self._seen[tp] = self._forgetful()
            self._newest.pop(tp, None)
            self._written.pop(tp, None)

    def decide(self, records: Sequence[Record]) -> list[Row]:
        """The rows of one claimed partition's next records, in order."""
        if not records:
            return []
        tp = records[0].topic_partition
        seen, incarnation = self._seen[tp], self._writer.incarnation(tp)
        return [seen.judge(self._curator.row(record, incarnation)) for record in records]

    def commit(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Make rows and next offsets durable together. Raises NotReady(LEDGER_FENCED).

        Rows of erased subjects are emptied at the last moment, so that an erasure that came after they
        were decided is heeded.
        """
        started = time.perf_counter()
        rows = self._without_erased(rows)
        self._writer.append(rows, offsets)
        self._ends.update({tp: self._end(tp, offset) for tp, offset in offsets.items()})
        last = {(row.topic, row.partition): row for row in rows}  # in order: the last one stays
        for place, row in last.items():
            self._written[TopicPartition(*place)] = Newest(row.offset, row.digest)
        self._meter.observe(Metric.INGEST_COMMIT, time.perf_counter() - started)
        self._shorten_log()
        self._meter.observe(Metric.INGEST_BATCH, len(rows))
        found = Counter(map(attrgetter("type", "disposition"), rows))
        for (kind, disposition), count in found.items():
            labels = {"type": _known(kind), "disposition": str(disposition)}
            self._meter.count(Metric.EVENTS, count, **labels)
        for kind in (kind for row in rows for kind in not_redacted(row)):
            self._meter.count(Metric.NOT_REDACTED, kind=kind)

    def _without_erased(self, rows: Sequence[Row]) -> Sequence[Row]:
        left, runs = self._erasures.index().emptied(rows)
        if runs:
            self._erasures.learn(runs)
        return left

    def _shorten_log(self) -> None:
        try:
            self._writer.shorten_log()
        except LorikeetError as error:  # the rows are safe; the next one tries
            log.warning("ingest.no_checkpoint", reason=repr(error))


def _known(kind: str | None) -> str:
    return kind if kind in INPUT_TYPES else "unknown"


Fault = Callable[[str], None]
"""Called with the name of each step that was done; tests end the process in it."""
