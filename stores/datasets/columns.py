"""Examples and pairs as Arrow columns, and back. Messages and tools are JSON texts.

An example's columns lie in two files: what its event says in a shard, which datasets share, and what was
decided of it in the dataset's index.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import pyarrow as pa

from schemas.datasets import Example, Pair, ShardKind, Split

_FLOATS = frozenset(
    {"weight", "score", "quality", "confidence", "diversity", "informativeness", "margin"}
)
_LISTS = frozenset({"messages", "tools", "chosen", "rejected"})


DECIDED = (
    *("split", "weight", "domain", "level", "score", "quality", "confidence", "diversity"),
    *("informativeness", "cluster"),
)
"""The columns of an example that depend on its window."""


def _schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(n, pa.float64() if n in _FLOATS else pa.string()) for n in names])


_STABLE = [field.name for field in fields(Example) if field.name not in DECIDED]
_PAIR = [field.name for field in fields(Pair) if field.name != "split"]
SCHEMAS = {ShardKind.EXAMPLES: _schema(_STABLE), ShardKind.PAIRS: _schema(_PAIR)}
"""The columns of a shard."""
COLUMNS = {
    ShardKind.EXAMPLES: _schema([field.name for field in fields(Example)]),
    ShardKind.PAIRS: _schema([field.name for field in fields(Pair)]),
}
"""All that is known of an example or a pair, in one table."""
INDEX = _schema(["row_id", *DECIDED])
"""The columns of a dataset's index."""


def to_columns(content: Mapping[str, Any], kind: ShardKind) -> dict[str, Any]:
    """The content of an example or a pair as the values of a shard's columns."""
    names = SCHEMAS[kind].names
    return {n: json_text(content[n]) if n in _LISTS else content[n] for n in names}


def to_example(record: Mapping[str, Any], decided: Mapping[str, Any]) -> Example:
    """The inverse, with the example's line of the index. Raises ValueError if it is another's."""
    if record["row_id"] != decided["row_id"]:
        raise ValueError(f"{decided['row_id']} is not {record['row_id']}")
    return Example(**_decoded({**record, **decided, "split": Split(decided["split"])}))


def to_pair(record: Mapping[str, Any], split: Split) -> Pair:
    """The inverse."""
    return Pair(split=split, **_decoded(record))


def json_text(value: Any) -> str:
    """JSON text that keeps the order of keys: it is the order in which a call was written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _decoded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {n: tuple(json.loads(v)) if n in _LISTS else v for n, v in record.items()}
