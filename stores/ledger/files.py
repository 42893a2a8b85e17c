"""The ledger's data files: which there are, the actions that add and remove them, what they hold."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from stores.ledger.place import Place
from stores.ledger.schema import PARTITION_COLUMN


class DataFile(NamedTuple):
    """A data file that a snapshot holds: name, size in bytes, day of ingest, rows."""

    name: str
    size: int
    day: str
    rows: int


def add_action(name: str, size: int, day: str, rows: int, *, data_change: bool) -> AddAction:
    """The action that adds a data file of `rows` rows; no statistics of columns (ADR 0002)."""
    now = int(time.time() * 1000)
    stats = json.dumps({"numRecords": rows})
    return AddAction(name, size, {PARTITION_COLUMN: day}, now, data_change, stats)


def remove_action(file: DataFile, *, data_change: bool) -> RemoveAction:
    """The action that removes a data file."""
    return RemoveAction(
        path=file.name,
        data_change=data_change,
        partition_values={PARTITION_COLUMN: file.day},
        size=file.size,
        deletion_timestamp=int(time.time() * 1000),
    )


def data_files(table: DeltaTable) -> list[DataFile]:
    """The files of the handle's snapshot, smallest first."""
    found = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return sorted(
        (
            DataFile(
                action["path"],
                action["size_bytes"],
                action[f"partition.{PARTITION_COLUMN}"],
                action["num_records"],
            )
            for action in found
        ),
        key=lambda file: (file.size, file.name),
    )


def records(place: Place, name: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """A file's rows; columns that came after it was written are None. Raises FileNotFoundError."""
    with place.open(name) as file:
        stored = pq.ParquetFile(file)
        known = [column for column in columns if column in stored.schema_arrow.names]
        rows: list[dict[str, Any]] = stored.read(columns=known).to_pylist()
    absent = dict.fromkeys(set(columns) - set(known))
    return [{**absent, **row} for row in rows] if absent else rows
