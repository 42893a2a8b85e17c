"""Reading what has been committed. Opens the table anew for each call: readers never fence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger import log
from stores.ledger.commit import OWN
from stores.ledger.damage import parsing, scanning
from stores.ledger.files import records
from stores.ledger.gaps import Gap, gaps_of
from stores.ledger.place import Place
from stores.ledger.port import Addition, Snapshot
from stores.ledger.recall import Recall
from stores.ledger.retirement import retired_of
from stores.ledger.schema import TABLE_SCHEMA, to_row
from stores.ledger.table import dataset_of, open_table, place_of


class DeltaLedgerReader:
    """See `LedgerReader`."""

    def __init__(self, where: Path | Place) -> None:
        self._place = place_of(where)

    def version(self) -> int:
        """The newest table version."""
        return open_table(self._place).version()

    def identity(self) -> tuple[str, int]:
        """The Delta table's id, which another table never has, and its newest version."""
        table = open_table(self._place)
        return str(table.metadata().id), table.version()

    def offsets(self) -> dict[str, int]:
        """Next offset of every partition known, by its `partition_key`."""
        return _offsets(log.state(self._place).transactions)

    def gaps(self) -> list[Gap]:
        """What was accepted as never to be read."""
        return gaps_of(log.state(self._place).transactions)

    def rows(
        self, *, tenant: str | None = None, offsets: Mapping[str, int] | None = None
    ) -> Iterator[Row]:
        """Rows of a tenant below the given offsets, in no order."""
        wanted = None if tenant is None else pc.field("tenant") == tenant
        for batch in self._scan(None, wanted):
            for record in batch.to_pylist():
                row = to_row(record)
                if offsets is None or row.offset < offsets.get(row.partition_key, 0):
                    yield row

    def recall(self, cluster: str, incarnations: Mapping[TopicPartition, int]) -> Recall:
        """What was seen of these partitions, each of one incarnation."""
        return Recall(self._place, cluster, incarnations)

    def table(self, columns: Sequence[str]) -> pa.Table:
        """All rows, with the columns asked for."""
        table = open_table(self._place)
        with scanning(table, self._place):
            return dataset_of(table, self._place).to_table(columns=list(columns))

    def additions(self, since: int, columns: Sequence[str]) -> Iterator[Addition]:
        """Commits after version `since`, in order; what changes no row counted is skipped.

        Raises LogExpired if the log, or a file that it names, is gone: read a `snapshot` then.
        """
        for version, actions in log.entries(self._place, since):
            added = [a["add"]["path"] for a in actions if a.get("add", {}).get("dataChange")]
            moved = {a["txn"]["appId"]: a["txn"]["version"] for a in actions if "txn" in a}
            offsets = _offsets(moved)
            if added or offsets:
                try:
                    rows = [row for name in added for row in self._records(name, columns)]
                except FileNotFoundError:
                    raise log.LogExpired(since) from None
                yield Addition(version, rows, offsets, gaps_of(moved))

    def snapshot(self, columns: Sequence[str]) -> Snapshot:
        """Everything as of the newest version."""
        table = open_table(self._place)
        found = log.state(self._place, table.version())
        batches = self._batches(table, list(columns), None)
        rows = itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
        return Snapshot(
            version=table.version(),
            rows=rows,
            offsets=_offsets(found.transactions),
            gaps=gaps_of(found.transactions),
            retired=[self.tally(name) for name in retired_of(found.transactions)],
        )

    def retired(self) -> list[str]:
        """The names of the tallies of what retention has dropped."""
        return retired_of(log.state(self._place).transactions)

    def tally(self, name: str) -> pa.Table:
        """One of them, as it was frozen."""
        with parsing(self._place, name), self._place.open(name) as file:
            return pq.read_table(file)

    def _records(self, name: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        with parsing(self._place, name):
            return records(self._place, name, columns)

    def _scan(
        self, columns: Sequence[str] | None, wanted: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        names = list(columns) if columns else [field.name for field in TABLE_SCHEMA]
        yield from self._batches(open_table(self._place), names, wanted)

    def _batches(
        self, table: DeltaTable, names: list[str], wanted: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        """Raises Unrecoverable(LEDGER_UNREADABLE) where a file is damaged."""
        with scanning(table, self._place):
            yield from dataset_of(table, self._place).to_batches(columns=names, filter=wanted)


def _offsets(transactions: Mapping[str, int]) -> dict[str, int]:
    return {key: version for key, version in transactions.items() if not key.startswith(OWN)}
