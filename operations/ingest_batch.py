"""From records to committed rows. One commit order, written once.

The consumer may hand over records in any batches: rows are decided one by one, in partition order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from processors.curation.curate import Curator
from processors.curation.duplicates import Seen
from processors.curation.policy import CurationPolicy
from schemas.events import INPUT_TYPES
from schemas.records import Record, TopicPartition
from schemas.rows import Disposition, Row
from schemas.telemetry import Meter, Metric
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter

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

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """Hold these partitions from now on; where each has to be read from (None: its start).

        What was seen of them is forgotten: it is read from the ledger again when it is needed.
        """
        self._seen.clear()
        return self._writer.claim(partitions)

    def decide(self, records: Sequence[Record]) -> list[Row]:
        """The rows of one partition's next records, in order."""
        if not records:
            return []
        tp = records[0].topic_partition
        seen = self._seen.get(tp)
        if seen is None:
            seen = self._seen[tp] = Seen(self._policy.dedupe_window_ms)
            seen.load(self._reader.identities(self._cluster, tp))
        return [seen.judge(self._curator.row(record)) for record in records]

    def commit(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Make rows and next offsets durable together. Raises NotReady(LEDGER_FENCED)."""
        started = time.perf_counter()
        self._writer.append(rows, offsets)
        self._meter.observe(Metric.INGEST_COMMIT, time.perf_counter() - started)
        self._meter.observe(Metric.INGEST_BATCH, len(rows))
        for row in rows:
            kind = _known(row.type)
            self._meter.count(Metric.EVENTS, type=kind, disposition=str(row.disposition))
            if row.disposition is Disposition.DEAD_LETTER:
                self._meter.count(Metric.DEAD_LETTERS, code=row.error_code or "")


def _known(kind: str | None) -> str:
    return kind if kind in INPUT_TYPES else "unknown"


Fault = Callable[[str], None]
"""Called with the name of each step that was done; tests end the process in it."""
