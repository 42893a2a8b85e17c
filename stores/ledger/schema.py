"""The ledger's columns: the fields of a row, as Arrow types any Delta reader understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Field

from schemas.rows import Disposition, Row

LEDGER_VERSION = 3
PARTITION_COLUMN = "day"
ORDER = ("cluster", "topic", "incarnation", "partition", "offset")
"""How rows lie in compacted files: readers of one partition leave out the others' row groups."""
_WIDER = {('PrimitiveType("integer")', 'PrimitiveType("long")')}

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
            "steps",
            "tool_errors",
            "replans",
            "tokens",
            "synthetic",
            "grounding",
            "contradiction",
            "specificity",
            "correctness",
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
    """The inverse: a row from a record of all its columns; those of the table beside them are left.

    Rows written before a column came have nulls there.
    """
    fields = {name: record[name] for name in Row._fields}
    fields["disposition"] = Disposition(fields["disposition"])
    fields["reasons"] = tuple(fields["reasons"] or ())
    fields["incarnation"] = fields["incarnation"] or 0
    return Row(**fields)


def ordered(rows: pa.Table, names: Sequence[str] = ORDER) -> pa.Table:
    """Rows sorted by columns. Those written before there were incarnations are of the first one."""
    if "incarnation" in rows.column_names:
        place = rows.column_names.index("incarnation")
        filled = pc.fill_null(rows.column(place), pa.scalar(0, rows.schema.field(place).type))
        rows = rows.set_column(place, "incarnation", filled)
    keys = [(name, "ascending") for name in names if name in rows.column_names]
    return rows.take(pc.sort_indices(rows, sort_keys=keys))


def widened(ours: Field, stored: Field) -> bool:
    """Whether a table's column is of our type, or of one that holds all of ours."""
    return ours.type == stored.type or (str(ours.type), str(stored.type)) in _WIDER


def fit(rows: pa.Table, table: DeltaTable) -> pa.Table:
    """Rows with the types that the table has by now, which may be wider than ours."""
    stored = pa.schema(table.schema().to_arrow())
    fields = [pa.field(name, stored.field(name).type) for name in rows.column_names]
    wanted = pa.schema(fields)
    return rows if rows.schema.equals(wanted) else rows.cast(wanted)
