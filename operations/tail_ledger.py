"""The newest rows of the ledger, and those that come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.place import Place
from stores.ledger.scan import Scan, where

COLUMNS = (
    "timestamp",
    "topic",
    "partition",
    "offset",
    "type",
    "tenant",
    "id",
    "disposition",
    "reasons",
    "error_code",
)
_ORDER = [("timestamp", "ascending"), ("topic", "ascending"), ("partition", "ascending"), ("offset", "ascending")]  # fmt: skip
Record = Mapping[str, Any]


class TailLedger:
    """Rows of a topic and a disposition, where these are given; newest by Kafka's time."""

    def __init__(
        self,
        ledger: Path | Place,
        reader: DeltaLedgerReader,
        *,
        content: bool,
        topic: str | None = None,
        disposition: str | None = None,
    ) -> None:
        """`content`: the redacted text too."""
        self._ledger = ledger
        self._reader = reader
        self._columns = (*COLUMNS, *(("content",) if content else ()))
        wanted = {"topic": topic, "disposition": disposition}
        self._wanted: dict[str, Any] = {
            n: value for n, value in wanted.items() if value is not None
        }

    def newest(self, count: int) -> tuple[Sequence[Record], int]:
        """The last rows, oldest first, and the version of the ledger that holds them.

        Days of ingest are read from the last one back until there are enough.
        """
        scan = Scan(self._ledger)
        found: pa.Table | None = None
        for day in sorted({file.day for file in scan.files()}, reverse=True):
            found = self._last(scan, where(day=day, **self._wanted), count, found)
            if found is not None and len(found) >= count:
                break
        return ([] if found is None else found.to_pylist()), scan.version

    def after(self, version: int) -> Iterator[tuple[int, Sequence[Record]]]:
        """(version, rows) of each commit after a version."""
        for addition in self._reader.additions(version, self._columns):
            rows = [
                row
                for row in addition.rows
                if all(row[name] == value for name, value in self._wanted.items())
            ]
            yield addition.version, rows

    def _last(
        self, scan: Scan, wanted: pc.Expression | None, count: int, found: pa.Table | None
    ) -> pa.Table | None:
        for batch in scan.batches(self._columns, wanted):
            if not len(batch):
                continue
            table = pa.Table.from_batches([batch])
            joined = table if found is None else pa.concat_tables([found, table])
            kept = joined.sort_by(_ORDER)
            found = kept.slice(max(len(kept) - count, 0)).combine_chunks()
        return found
