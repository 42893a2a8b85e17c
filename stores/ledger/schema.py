"""The ledger's columns: the fields of a row, as Arrow types any Delta reader understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from schemas.rows import Disposition, Row

LEDGER_VERSION = 1
PARTITION_COLUMN = "day"

_TYPES: dict[str, pa.DataType] = {
    "partition": pa.int32(),
    "incarnation": pa.int32(),
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
FILE_SCHEMA = pa.schema([pa.field(name, _TYPES.get(name, pa.string())) for name in Row._fields])
TABLE_SCHEMA = FILE_SCHEMA.append(pa.field(PARTITION_COLUMN, pa.string()))


def to_table(rows: Sequence[Row]) -> pa.Table:
    """Rows as the columns of a data file."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(FILE_SCHEMA)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, FILE_SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=FILE_SCHEMA)


def to_row(record: Mapping[str, Any]) -> Row:
    """The inverse: a row from a record of all its columns; those of the table beside them are left."""
    fields = {name: record[name] for name in Row._fields}
    fields["disposition"] = Disposition(fields["disposition"])
    fields["reasons"] = tuple(fields["reasons"] or ())
    return Row(**fields)
