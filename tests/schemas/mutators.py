"""Real-shaped events and the ways in which a fuzzer spoils them."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from schemas.records import Record
from tests.support import (
    binary,
    edit,
    erasure,
    event,
    execution,
    gateway,
    plan,
    record,
    telemetry,
    thumb,
)

NESTED = {"id": "1", "type": "function", "function": {"name": "book", "arguments": '{"to":"lyon"}'}}
_SHAPES: list[dict[str, Any]] = [
    event("execution.completed", execution(model={"name": "m", "arm": "candidate"}, tenant_id="t")),
    event("execution.completed", execution(metrics={"cost_usd": 0.1}, labels={"a": "b"})),
    event(
        "execution.completed",
        execution(messages=[{"role": "assistant", "content": None, "tool_calls": [NESTED]}]),
        time=None,
    ),
    event("planning.completed", plan(score=0.5, replans=1)),
    event("feedback.received", edit("run", [NESTED])),
    event("feedback.received", thumb("run", -1)),
    event("feedback.received", erasure(source="urn:x", execution_id="r")),
    event("telemetry.sampled", telemetry()),
    event("gateway.adapter", gateway()),
    event("com.acme.other", {"anything": [1, {"goes": None}]}),
]
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHAPES: list[dict[str, Any]] = json.loads(_UUID.sub("0b0c2f7e-6d1e-4a55", json.dumps(_SHAPES)))
"""The same in every run, so that a seed always makes the same records."""
SPICE: list[Any] = [
    *(None, True, 0, -1, 70, 10**30, 1e308, "", "\0", "é" * 9, "NaN", [], {}, [[]]),
    *(
        0.5,
        1.5,
        "0.5",
        "1e3",
        "7.0",
        "1_0",
        "yes",
        " 7",
        "2026-01-01 00:00Z",
        1_767_225_600,
        ["a"],
        [{}],
    ),
    *({"a": {"b": 1}}, "2026-01-01", "2026-01-01T00:00:00Z", "[" * 300, "1.0", "success"),
]
Dice = random.Random


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    if not isinstance(value, (dict, list)):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [p for key in keys for p in places(value[key])]


def _spiced(body: dict[str, Any], dice: Dice) -> dict[str, Any]:
    container, key = dice.choice(places(body))
    container[key] = copy.deepcopy(dice.choice(SPICE))
    return body


def _dropped(body: dict[str, Any], dice: Dice) -> dict[str, Any]:
    container, key = dice.choice(places(body))
    del container[key]
    return body


def _grown(body: dict[str, Any], dice: Dice) -> dict[str, Any]:
    data = body["data"]
    change: dict[str, Any] = dice.choice(
        [
            {"messages": [{"role": "user", "content": "x"}] * 60},
            {"tenant_id": "other"},
            {"steps": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]},
            {"note": json.loads("[" * 30 + "]" * 30)},
            {"note": "x" * 30_000},
        ]
    )
    outside: dict[str, Any] = dice.choice([{"tenantid": "t"}, {"dataref": "s3://b"}, {"x": "y"}])
    return {**body, **outside, "data": {**data, **change}}


def _flipped(value: bytes, dice: Dice) -> bytes:
    place = dice.randrange(len(value))
    return value[:place] + bytes([dice.randrange(256)]) + value[place + 1 :]


def _cut(value: bytes, dice: Dice) -> bytes:
    start = dice.randrange(len(value))
    return value[:start] + value[start + dice.randrange(1, 9) :]


def _doubled(value: bytes, dice: Dice) -> bytes:
    start = dice.randrange(len(value))
    return value[: start + dice.randrange(1, 40)] + value[start:]


TOKENS = [b"NaN", b"-Infinity", b"1e400", b"1E+0400", b"9" * 400, b"-1e-400", b"01", b'"\\ud800"']


def _token(value: bytes, dice: Dice) -> bytes:
    """Something that is nearly JSON in place of a number or a word."""
    found = list(re.finditer(rb"(?<=[:\[,] )(-?[0-9.]+|null|true|\"[^\"\\]*\")(?=[,\]}])", value))
    if not found:
        return value
    place = dice.choice(found)
    return value[: place.start()] + dice.choice(TOKENS) + value[place.end() :]


def _repeated(value: bytes, dice: Dice) -> bytes:
    """A key and its text, or another one's, once more: before or after it."""
    found = list(re.finditer(rb'"[a-z_]+": "[^"\\]*"', value))
    if not found:
        return value
    place, other = dice.choice(found), dice.choice(found)
    key = place[0].partition(b": ")[0]
    pair = dice.choice([place[0], key + b": " + other[0].partition(b": ")[2], key + b": null"])
    both = [pair, place[0]] if dice.random() < 0.5 else [place[0], pair]
    return value[: place.start()] + b", ".join(both) + value[place.end() :]


KINDS = [
    *(b"application/json;charset=UTF-8", b"Application/JSON", b"text/json; charset=latin-1"),
    *(b"application/cloudevents+json; charset=utf-8", b"application/cloudevents-batch+json"),
    *(b"application/x.y+json", b"application/avro", b"application/cloudevents", b""),
]


def _headed(found: Record, dice: Dice) -> Record:
    """Another content type, a header twice, names in capitals, or many headers."""
    headers = list(found.headers)
    change = dice.randrange(5)
    if change == 0:
        headers = [h for h in headers if h[0] != "content-type"]
        headers.append(("content-type", dice.choice(KINDS)))
    elif change == 1 and headers:
        name, text = dice.choice(headers)
        headers.append((name.upper(), dice.choice([text, b"other"])))
    elif change == 2:
        headers = [(name.title(), text) for name, text in headers]
    elif change == 3:
        headers += [("x", b"\xff")] * dice.choice([1, 1_100])
    else:
        headers.append((dice.choice(["ce_type", "ce_id", "ce_dataref", "ce_x"]), b"x"))
    return found._replace(headers=tuple(headers))


SHAPERS: list[Callable[[dict[str, Any], Dice], dict[str, Any]]] = [_spiced, _dropped, _grown]
BYTES: list[Callable[[bytes, Dice], bytes]] = [_flipped, _cut, _doubled, _token, _repeated]


def mutated(dice: Dice, shapes: Sequence[dict[str, Any]] = SHAPES) -> Record:
    """A record that may be spoiled in its shape, its bytes, its headers, or not at all."""
    body = {**copy.deepcopy(dice.choice(shapes)), "id": f"{dice.getrandbits(64):x}"}
    for _ in range(dice.choice([0, 0, 1, 1, 2])):
        body = dice.choice(SHAPERS)(body, dice) if isinstance(body.get("data"), dict) else body
    if dice.random() < 0.2:
        body = dict(sorted(body.items()))
    found = record(body) if dice.random() < 0.5 else binary(body)
    value, headers = found.value or b"", list(found.headers)
    if dice.random() < 0.4:
        value = dice.choice(BYTES)(value, dice)
    if headers and dice.random() < 0.15:
        name, text = headers.pop(dice.randrange(len(headers)))
        headers.append((name, dice.choice([b"", None, b"\xff", (text or b"")[:-1]])))
    strange = dice.random()
    whole = None if strange < 0.02 else b"\0" + value if strange < 0.04 else value
    found = found._replace(value=whole, headers=tuple(headers))
    return _headed(found, dice) if dice.random() < 0.2 else found
