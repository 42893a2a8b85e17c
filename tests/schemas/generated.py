"""Executions made from the JSON Schema of their type, odd values in every field, sound or not."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from schemas.executions import ExecutionData
from schemas.records import Record
from tests.schemas.mutators import BYTES, SPICE
from tests.support import binary, event, record

_SCHEMA = ExecutionData.model_json_schema()
_TEXTS = [
    *(
        "",
        "a",
        "user",
        "assistant",
        "tool",
        "né 日本 😀",
        "\u2028\x7f\ufeff",
        'a"b\\c/\n\t\x1f',
        "\0",
    ),
    *("ann@x.org", "+33 1 23 45 67 89", "4111 1111 1111 1111", "sk-" + "a1B2" * 8, "10.0.0.1"),
    *("not json {", '{"a": 1', "[1]", "null", "NaN", '{"a": NaN}', '{"a": 1e999}', '"text"'),
    *('{"to": "ann@x.org", "n": [1, 2.5, 1e-7, 1e22]}', '{"k": "\\u00e9\\ud83d\\ude00\\u0000"}'),
    *('{"a": 1, "a": 2}', '{"a": -0.0, "b": -0, "c": 1E5}', '{"a": "\\ud800"}', " {} ", "{}x"),
    *('{"a": ' + "[" * 150 + "]" * 150 + "}", '{"a": ' + "[" * 260 + "]" * 260 + "}"),
    *('{"a": ' + "9" * 320 + "}", '{"a": ' + "9" * 5000 + "}", '{"a": 18446744073709551616}'),
]
_TIMES = [
    *("2026-03-01T11:00:00+00:00", "2026-03-01T12:30:00.123456Z", "2026-03-01T12:30:00.1234567Z"),
    *("2026-03-01t11:00:00z", "2026-03-01 11:00:00Z", "2026-03-01T11:00:00", "0001-01-01T00:00:00+01:00"),
    *("9999-12-31T23:59:59-01:00", "2026-03-01T24:00:00Z", "2026-02-29T00:00:00Z", "1500-01-01T00:00:00.5Z"),
    *("2026-03-01T11:00:60Z", "2026-03-01T11:00Z", "2026-03-01T11:00:00+0100", "", "٢٠٢٦-03-01T11:00:00Z"),
]  # fmt: skip
_NUMBERS = [0, 1, 0.0, -0.0, 0.25, 1.0, 1e-7, 0.3333333333333333, 12, 1e22, 2**63, 2**64, 10**30]
_ANYTHING = [*SPICE, *_TEXTS, *_NUMBERS, {"text": "ann@x.org", "type": "text"}, {"a": [1.5, "\0"]}]
_CONTENT_TYPES = [*["application/json"] * 9, "text/plain", "application/json; charset=utf-8"]
_EXTENSIONS: list[dict[str, Any]] = [
    *[{}] * 16,
    {"tenantid": "t"},
    {"myext": 5},
    {"dataref": None},
    {"dataref": "x"},
]
_ODD = 0.001
"""The share of values that are of any type at all."""


def execution_record(dice: Random) -> Record:
    """One record: structured or binary, compact or not, its bytes now and then spoiled."""
    body = event("execution.completed", _object(_SCHEMA, dice))
    body["id"] = dice.choice([*["e-1"] * 9, 'e"\\1', "é", "\0"])
    body["source"] = dice.choice([*["urn:x"] * 9, "/ü", "s\0"])
    body["time"] = dice.choice([None, *_TIMES[:2] * 4, dice.choice(_TIMES)])
    body |= dice.choice(_EXTENSIONS)
    if dice.random() < 0.5:
        plain = {name: held for name, held in body.items() if held is not None}
        found = binary(plain, content_type=dice.choice(_CONTENT_TYPES))
    else:
        headers: Any = dice.choice([(), (("content-type", b"application/cloudevents+json"),)])
        found = record(body, headers=headers)
    return found._replace(value=_written(body if not _is_binary(found) else body["data"], dice))


def _is_binary(found: Record) -> bool:
    return any(name.startswith("ce_") for name, _ in found.headers)


def _written(body: Any, dice: Random) -> bytes:
    spaces: Any = dice.choice([(",", ":"), (", ", ": "), (" , ", " : ")])
    indent = dice.choice([None, None, None, 1])
    text = json.dumps(body, ensure_ascii=dice.random() < 0.5, separators=spaces, indent=indent)
    if dice.random() < 0.03:
        text = text.replace("0.25", dice.choice(["1e999", "NaN", "2.5e-1", "0.250", "9" * 400]))
    if dice.random() < 0.03:
        text = text.replace('"agent_id"', '"execution_id":"other","agent_id"', 1)
    value = text.encode(errors="surrogatepass")
    return dice.choice(BYTES)(value, dice) if dice.random() < 0.05 else value


def _object(schema: dict[str, Any], dice: Random) -> dict[str, Any]:
    needed = schema.get("required", ())
    made = {
        name: _value(held, dice, name)
        for name, held in schema["properties"].items()
        if name in needed or dice.random() < 0.4
    }
    if dice.random() < 0.1:
        made[dice.choice(["extra", "note", "name"])] = dice.choice(_ANYTHING)
    if made.get("artifacts") and dice.random() < 0.9:
        made["artifacts"] = []
    names = list(made)
    if dice.random() < 0.2:
        dice.shuffle(names)
    return {name: made[name] for name in names}


def _value(schema: dict[str, Any], dice: Random, name: str = "") -> Any:  # noqa: PLR0911 - one a kind
    if dice.random() < _ODD:
        return dice.choice(_ANYTHING)
    if "$ref" in schema:
        return _part(schema["$ref"].rpartition("/")[2], dice)
    if "anyOf" in schema:
        return _value(dice.choice(schema["anyOf"]), dice, name)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return [_value(schema.get("items", {}), dice) for _ in range(dice.choice([0, 1, 2, 5]))]
    if kind == "object":
        return _object(schema, dice) if "properties" in schema else _map(schema, dice)
    if kind == "string":
        return dice.choice(
            _TIMES[: dice.choice([2, 2, 2, 12])]
            if schema.get("format") == "date-time"
            else _strings(schema, dice)
        )
    if kind in ("number", "integer"):
        return _number(schema, dice, whole=kind == "integer")
    return {"boolean": dice.random() < 0.5, "null": None}.get(kind or "", dice.choice(_ANYTHING))


def _part(name: str, dice: Random) -> Any:
    made = _object(_SCHEMA["$defs"][name], dice)
    if name != "ToolCall" or dice.random() < 0.3:
        return made
    arguments = dice.choice([*_TEXTS, {"a": 1}, None, json.dumps({"q": dice.choice(_TEXTS)})])
    function = {"name": dice.choice(["search", "é"]), "arguments": arguments}
    return {"id": "c", "type": "function", "function": function}


def _map(schema: dict[str, Any], dice: Random) -> dict[str, Any]:
    inner = schema.get("additionalProperties")
    held = inner if isinstance(inner, dict) else {}
    return {dice.choice(_TEXTS): _value(held, dice) for _ in range(dice.choice([0, 1, 2]))}


def _strings(schema: dict[str, Any], dice: Random) -> list[str]:
    return _TEXTS[1:5] if schema.get("minLength") or dice.random() < 0.9 else _TEXTS


def _number(schema: dict[str, Any], dice: Random, *, whole: bool) -> Any:
    fits = [n for n in _NUMBERS if schema.get("minimum", n) <= n <= schema.get("maximum", n)]
    return dice.choice([n for n in fits if isinstance(n, int)] if whole else fits)
