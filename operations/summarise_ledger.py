"""The ledger in figures: rows by topic, disposition and day; files; log; gaps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.rows import Disposition
from stores.ledger import log
from stores.ledger.compaction import TARGET_BYTES
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.files import DataFile
from stores.ledger.place import Place
from stores.ledger.scan import Scan
from stores.ledger.table import place_of

_SMALL = TARGET_BYTES // 2
"""Bytes up to which compaction merges a file with others."""
_COLUMNS = ("topic", "disposition", "day", "timestamp")


@dataclass
class _Sums:
    """Rows counted so far, and the least and greatest Kafka timestamp among them (ms, UTC)."""

    topics: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    days: Counter[str] = field(default_factory=Counter)
    times: list[int] = field(default_factory=list)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch."""
        by = ["topic", "disposition", "day"]
        wanted = [("timestamp", "count"), ("timestamp", "min"), ("timestamp", "max")]
        for row in pa.Table.from_batches([batch]).group_by(by).aggregate(wanted).to_pylist():
            self.topics[row["topic"]][row["disposition"]] += row["timestamp_count"]
            self.days[row["day"]] += row["timestamp_count"]
            known = [*self.times, row["timestamp_min"], row["timestamp_max"]]
            self.times = [min(known), max(known)]


class SummariseLedger:
    """Reads four narrow columns of all rows, and the table's own list of files."""

    def __init__(self, ledger: Path | Place) -> None:
        self._place = place_of(ledger)

    def __call__(self) -> dict[str, Any]:
        """What `lorikeet ledger stats` shows, as plain values."""
        scan, sums = Scan(self._place), _Sums()
        for batch in scan.batches(_COLUMNS):
            sums.add(batch)
        files = scan.files()
        total: Counter[str] = Counter()
        for counts in sums.topics.values():
            total.update(counts)
        rows = total.total()
        return {
            "version": scan.version,
            "rows": rows,
            "dispositions": _dispositions(total),
            "dead_letter_share": total["dead_letter"] / rows if rows else None,
            "topics": {name: _dispositions(sums.topics[name]) for name in sorted(sums.topics)},
            "days": _days(sums.days, files),
            "oldest_record": _time(sums.times[:1]),
            "newest_record": _time(sums.times[1:]),
            "files": len(files),
            "small_files": sum(one.size <= _SMALL for one in files),
            "bytes": sum(one.size for one in files),
            "log_entries": sum(
                item.name.endswith(".json") for _, item in log.numbered(self._place)
            ),
            "gaps": [gap.as_json() for gap in DeltaLedgerReader(self._place).gaps()],
        }


def _dispositions(counts: Mapping[str, int]) -> dict[str, int]:
    return {str(name): counts.get(name, 0) for name in Disposition}


def _days(rows: Mapping[str, int], files: list[DataFile]) -> list[dict[str, Any]]:
    """By day of ingest, newest first."""
    return [
        {
            "day": day,
            "rows": rows[day],
            "files": sum(one.day == day for one in files),
            "bytes": sum(one.size for one in files if one.day == day),
        }
        for day in sorted(rows, reverse=True)
    ]


def _time(milliseconds: list[int]) -> str | None:
    """Producers may set any timestamp: one that no calendar has is given as it is."""
    if not milliseconds:
        return None
    try:
        return f"{datetime.fromtimestamp(milliseconds[0] / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return str(milliseconds[0])
