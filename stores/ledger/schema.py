"""The ledger's columns: the fields of a row, as Arrow types any Delta reader understands."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from schemas.rows import Disposition, Row

LEDGER_VERSION = 1
PARTITION_COLUMN = "day"

_TYPES: dict[str, pa.DataType] = {
    "partition": pa.int32(),
    "offset": pa.int64(),
    "timestamp": pa.int64(),
    "size": pa.int64(),
    "reasons": pa.list_(pa.string()),
    "event_time": pa.timestamp("us", tz="UTC"),
    "success": pa.bool_(),
    "valid": pa.bool_(),
    **dict.fromkeys(
        (
            "difficulty",
            "quality",
            "confidence",
            "duration_ms",
            "cost_usd",
            "input_tokens",
            "output_tokens",
            "value",
        ),
        pa.float64(),
    ),
}
_NAMES = tuple(field.name for field in dataclasses.fields(Row))
TABLE_SCHEMA = pa.schema([pa.field(name, _TYPES.get(name, pa.string())) for name in _NAMES])
FILE_SCHEMA = pa.schema([field for field in TABLE_SCHEMA if field.name != PARTITION_COLUMN])


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows of one day as the columns of a data file."""
    columns = {
        field.name: pa.array([_plain(getattr(row, field.name)) for row in rows], field.type)
        for field in FILE_SCHEMA
    }
    return pa.table(columns, schema=FILE_SCHEMA)


def to_row(record: Mapping[str, Any]) -> Row:
    """The inverse: a row from a record of all columns."""
    fields = dict(record)
    fields["disposition"] = Disposition(fields["disposition"])
    fields["reasons"] = tuple(fields["reasons"] or ())
    return Row(**fields)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
