"""Examples and pairs as Arrow columns, and back. Messages and tools are JSON texts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa

from schemas.datasets import Example, Pair, ShardKind, Split

_FLOATS = frozenset(
    {"weight", "score", "quality", "confidence", "diversity", "informativeness", "margin"}
)
_LISTS = frozenset({"messages", "tools", "chosen", "rejected"})


def _schema(of: type[Example | Pair]) -> pa.Schema:
    names = [field.name for field in fields(of) if field.name != "split"]
    return pa.schema([(n, pa.float64() if n in _FLOATS else pa.string()) for n in names])


SCHEMAS = {ShardKind.EXAMPLES: _schema(Example), ShardKind.PAIRS: _schema(Pair)}
"""The columns of a shard; its split stands in the manifest."""


def to_columns(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of an example or a pair as the values of a shard's columns."""
    return {
        name: json_text(value) if name in _LISTS else value
        for name, value in content.items()
        if name != "split"
    }


def to_example(record: Mapping[str, Any], split: Split) -> Example:
    """The inverse."""
    return Example(split=split, **_decoded(record))


def to_pair(record: Mapping[str, Any], split: Split) -> Pair:
    """The inverse."""
    return Pair(split=split, **_decoded(record))


def json_text(value: Any) -> str:
    """JSON text that keeps the order of keys: it is the order in which a call was written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _decoded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {n: tuple(json.loads(v)) if n in _LISTS else v for n, v in record.items()}
