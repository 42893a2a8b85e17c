"""Tool definitions derived from calls, for traces that do not carry what the model was given.

They hold what was seen and no more: names, arguments, JSON types. An argument is required if every
call gave it. What the real definitions said beyond that (descriptions, enumerations, tools that were
never called) stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),  # before int, which it is in Python
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


class SeenTools:
    """Collects calls; `definitions` does not depend on their order."""

    def __init__(self) -> None:
        self._arguments: dict[str, Schema] = {}

    def see(self, name: str, arguments: Mapping[str, Any] | str) -> None:
        """Note one call; arguments that are no JSON object say nothing."""
        known = self._arguments.get(name)
        if isinstance(arguments, str):
            self._arguments[name] = known or {"type": ["object"]}
            return
        found = schema_of(dict(arguments))
        self._arguments[name] = merge(known, found) if known else found

    def definitions(self) -> list[dict[str, Any]]:
        """OpenAI tool definitions, sorted by name."""
        return [
            {"type": "function", "function": {"name": name, "parameters": _plain(schema)}}
            for name, schema in sorted(self._arguments.items())
        ]


def schema_of(value: Any) -> Schema:
    """The JSON schema of one value; `type` is a list until `definitions` simplifies it."""
    kind = next((name for python, name in _TYPES if isinstance(value, python)), "null")
    schema: Schema = {"type": [kind]}
    if isinstance(value, dict):
        schema["properties"] = {str(k): schema_of(v) for k, v in value.items()}
        schema["required"] = sorted(map(str, value))
    elif isinstance(value, list) and value:
        items = schema_of(value[0])
        for item in value[1:]:
            items = merge(items, schema_of(item))
        schema["items"] = items
    return schema


def merge(left: Schema, right: Schema) -> Schema:
    """A schema that both fit."""
    merged: Schema = {"type": sorted({*left["type"], *right["type"]})}
    if "items" in left or "items" in right:
        merged["items"] = _either(left.get("items"), right.get("items"))
    if "properties" in left or "properties" in right:
        ours, theirs = left.get("properties", {}), right.get("properties", {})
        names = sorted({*ours, *theirs})
        merged["properties"] = {name: _either(ours.get(name), theirs.get(name)) for name in names}
        merged["required"] = sorted(
            set(left.get("required", names)) & set(right.get("required", names))
        )
    return merged


def _either(left: Schema | None, right: Schema | None) -> Schema:
    if left is None or right is None:
        return left or right or {"type": []}
    return merge(left, right)


def _plain(schema: Schema) -> Schema:
    """As people write it: one type as a string, integers among numbers not mentioned."""
    kinds = [k for k in schema["type"] if k != "integer" or "number" not in schema["type"]]
    plain: Schema = {"type": kinds[0] if len(kinds) == 1 else kinds} if kinds else {}
    if "items" in schema:
        plain["items"] = _plain(schema["items"])
    if "properties" in schema:
        plain["properties"] = {n: _plain(s) for n, s in sorted(schema["properties"].items())}
        plain["required"] = schema["required"]
    return plain
