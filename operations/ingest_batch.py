"""From records to committed rows. One commit order, written once.

The consumer may hand over records in any batches: rows are decided one by one, in partition order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from processors.curation.curate import Curator
from processors.curation.duplicates import Seen
from processors.curation.policy import CurationPolicy
from schemas.digests import sha256_hex
from schemas.events import INPUT_TYPES
from schemas.records import Record, TopicPartition, partition_key
from schemas.rows import Row
from schemas.telemetry import Meter, Metric
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.port import Newest

STEPS = ("decided", "dead_letters_sent", "committed", "offsets_returned")
"""The commit's steps, in order; a fault hook is called after each."""


class IngestBatch:
    """The decisions and the ledger's part of ingest, for the partitions this process holds."""

    def __init__(
        self,
        writer: DeltaLedgerWriter,
        reader: DeltaLedgerReader,
        cluster: str,
        policy: CurationPolicy,
        meter: Meter,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._cluster = cluster
        self._policy = policy
        self._meter = meter
        self._curator = Curator(cluster, policy)
        self._seen: dict[TopicPartition, Seen] = {}
        self._newest: dict[TopicPartition, Newest] = {}

    @property
    def cluster(self) -> str:
        """The Kafka cluster's id."""
        return self._cluster

    def key(self, tp: TopicPartition) -> str:
        """The claimed partition's key in the ledger."""
        return self._writer.key(tp)

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Hold these partitions from now on; where each has to be read from (None: its start).

        What was seen of them is read back from the ledger, which may take a second: call it in a
        thread.
        """
        claimed = self._writer.claim(partitions)
        self._seen, self._newest = {}, {}
        for tp, offset in claimed.items():
            newest = None if offset is None else self._reader.newest(self._cluster, tp)
            self._seen[tp] = self._remember(tp, newest)
            if newest is not None and newest.incarnation == self._writer.incarnation(tp):
                self._newest[tp] = newest
        return claimed

    def _remember(self, tp: TopicPartition, newest: Newest | None) -> Seen:
        seen = Seen(self._policy.dedupe_window_ms)
        if newest is not None:
            since = newest.watermark - self._policy.dedupe_window_ms
            seen.load(self._reader.identities(self._cluster, tp, since))
        return seen

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

    def decide(self, records: Sequence[Record]) -> list[Row]:
        """The rows of one claimed partition's next records, in order."""
        if not records:
            return []
        tp = records[0].topic_partition
        seen, incarnation = self._seen[tp], self._writer.incarnation(tp)
        return [seen.judge(self._curator.row(record, incarnation)) for record in records]

    def commit(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Make rows and next offsets durable together. Raises NotReady(LEDGER_FENCED)."""
        started = time.perf_counter()
        self._writer.append(rows, offsets)
        self._meter.observe(Metric.INGEST_COMMIT, time.perf_counter() - started)
        self._meter.observe(Metric.INGEST_BATCH, len(rows))
        found = Counter((_known(row.type), str(row.disposition)) for row in rows)
        for (kind, disposition), count in found.items():
            self._meter.count(Metric.EVENTS, count, type=kind, disposition=disposition)


def _known(kind: str | None) -> str:
    return kind if kind in INPUT_TYPES else "unknown"


Fault = Callable[[str], None]
"""Called with the name of each step that was done; tests end the process in it."""
