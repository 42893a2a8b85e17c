"""Every kind of record that cannot be read, by name, and what its dead letter has to say."""

from __future__ import annotations

import copy
import json
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel

from schemas.errors import Code
from schemas.executions import ExecutionData, PlanData
from schemas.feedback import FeedbackData, GatewayAdapterData, TelemetryData
from tests.support import binary, event, execution, gateway, plan, telemetry, thumb

RUN = "execution.completed"
MIB = 1024 * 1024
Headers = list[tuple[str, bytes | None]]


class Bad(NamedTuple):
    """A record and the code it dies of."""

    code: Code
    value: bytes | None
    headers: Headers = []
    key: bytes | None = b"\xffkey"


class NameOfBytes(str):
    """A header's name that goes out as other bytes than UTF-8; reads as they are escaped."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """What aiokafka writes."""
        return super().encode("latin-1").decode("unicode_escape").encode("latin-1")


def said(code: Code, data: Any = None, kind: str = RUN, **attributes: Any) -> Bad:
    """A structured event."""
    body = event(kind, execution() if data is None else data, **attributes)
    return Bad(code, json.dumps(body).encode())


def in_headers(code: Code, *without: str, **attributes: Any) -> Bad:
    """A binary event that lacks some attributes."""
    body = {k: v for k, v in event(RUN, execution(), **attributes).items() if k not in without}
    sent = binary(body)
    return Bad(code, sent.value, [h for h in sent.headers if h[0] not in without])


def without(name: str) -> Bad:
    """A structured event that lacks an attribute."""
    body = {k: v for k, v in event(RUN, execution()).items() if k != name}
    return Bad(Code.MISSING_ATTRIBUTE, json.dumps(body).encode())


def holding(code: Code, text: str, **changes: Any) -> Bad:
    """An execution that holds `text`, as it is, in place of an @."""
    body = json.dumps(event(RUN, execution(**changes)))
    assert '"@"' in body
    return Bad(code, body.replace('"@"', text).encode())


def again(key: str) -> Bad:
    """A structured event that begins with this key, which comes once more."""
    return Bad(Code.DUPLICATE_KEYS, f"{{{key}, {json.dumps(event(RUN, execution()))[1:]}".encode())


def _sound(*more: tuple[str, bytes | None], value: bytes | None = None) -> tuple[Any, Headers]:
    sent = binary(event(RUN, execution()))
    return sent.value if value is None else value, [*sent.headers, *more]


RING = [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]
NOISE: Headers = [("x-any", b"\x00\xff"), ("x-null", None), ("x-any", b"twice")]
KINDS: dict[str, Bad] = {
    "not JSON": Bad(Code.NOT_JSON, b"{not json", NOISE),
    "JSON that is not an object": Bad(Code.INVALID_DATA, b"[1, 2]", NOISE),
    "binary data that is not an object": Bad(Code.INVALID_DATA, *_sound(value=b'"text"')),
    "bad UTF-8": Bad(Code.NOT_JSON, b'{"id": "\xff\xfe"}', key=None),
    "bad UTF-8 in a header": Bad(Code.BAD_HEADER, *_sound(("ce_subject", b"\xff"))),
    "header name that is not UTF-8": Bad(
        Code.BAD_HEADER, *_sound((NameOfBytes(r"x-\xff\xfe\xc0"), b"\x00"), ("after", None))
    ),
    "header name that is not UTF-8, of a structured event": Bad(
        Code.BAD_HEADER,
        json.dumps(event(RUN, execution())).encode(),
        [(NameOfBytes(r"\xe9t\xe9"), b"1")],
    ),
    "empty value": Bad(Code.EMPTY, b""),
    "tombstone": Bad(Code.EMPTY, None, NOISE),
    "tombstone in binary mode": Bad(Code.EMPTY, None, _sound()[1]),
    **{f"missing {name}": without(name) for name in ("id", "source", "type", "specversion")},
    **{
        f"missing ce_{name}": in_headers(Code.MISSING_ATTRIBUTE, name)
        for name in ("id", "source", "specversion")
    },
    **{f"empty {name}": said(Code.MISSING_ATTRIBUTE, **{name: ""}) for name in ("id", "source")},
    "empty type": said(Code.MISSING_ATTRIBUTE, kind=""),
    "empty specversion": said(Code.WRONG_SPECVERSION, specversion=""),
    **{
        f"empty ce_{name}": in_headers(Code.MISSING_ATTRIBUTE, **{name: ""})
        for name in ("id", "source")
    },
    "wrong specversion": said(Code.WRONG_SPECVERSION, specversion="0.3"),
    "wrong ce_specversion": in_headers(Code.WRONG_SPECVERSION, specversion="1.1"),
    "malformed time": said(Code.BAD_TIME, time="yesterday"),
    "malformed ce_time": in_headers(Code.BAD_TIME, time="2026-01-31 12:00"),
    "time without offset": said(Code.BAD_TIME, time="2026-01-31T12:00:00"),
    "binary event without content type": in_headers(Code.CONTENT_TYPE, "content-type"),
    "binary event that is not JSON": Bad(
        Code.CONTENT_TYPE,
        b"\x01\x02",
        list(binary(event(RUN, {}), content_type="application/avro").headers),
    ),
    "charset that is not UTF-8": Bad(
        Code.CONTENT_TYPE,
        json.dumps(event(RUN, execution())).encode("utf-16"),
        [("content-type", b"application/cloudevents+json; charset=UTF-16")],
    ),
    "structured event with data_base64": Bad(
        Code.CONTENT_TYPE,
        json.dumps({**event(RUN, {}), "data": None, "data_base64": "e30="}).encode(),
    ),
    "batch of events": Bad(
        Code.CONTENT_TYPE, b"[]", [("content-type", b"application/cloudevents-batch+json")]
    ),
    "duplicate JSON keys: id": again('"id": "other"'),
    "duplicate JSON keys: source": again('"source": "urn:other"'),
    "duplicate JSON keys: type": again('"type": "planning.completed"'),
    "duplicate JSON keys: data": again('"data": {}'),
    "duplicate JSON keys: tenant": holding(
        Code.DUPLICATE_KEYS, '"a", "tenant_id": "b"', tenant_id="@"
    ),
    "duplicate JSON keys: execution_id": holding(
        Code.DUPLICATE_KEYS, '"a", "execution_id": "b"', execution_id="@"
    ),
    "duplicate headers": Bad(Code.BAD_HEADER, *_sound(("CE_ID", b"other"))),
    "NaN": holding(Code.NOT_JSON, "NaN", confidence="@"),
    "Infinity": holding(Code.NOT_JSON, "-Infinity", note="@"),
    "number beyond float: 1e400": holding(Code.BEYOND_FLOAT, "1e400", confidence="@"),
    "number beyond float: 1e400 in an unknown field": holding(
        Code.BEYOND_FLOAT, "[1E+400]", note="@"
    ),
    "number beyond float: thousands of digits": holding(Code.BEYOND_FLOAT, "9" * 5_000, note="@"),
    "depth bomb": holding(Code.TOO_DEEP, "[" * 100_000 + "]" * 100_000, note="@"),
    "depth bomb without end": Bad(Code.TOO_DEEP, b'{"a":' * 100_000),
    "over 4 MiB": holding(Code.TOO_LARGE, '"' + "x" * 4 * MIB + '"', note="@"),
    "17 MiB, which the dead-letter topic refuses": Bad(
        Code.TOO_LARGE, b"{" + b" " * 17 * MIB, NOISE
    ),
    "header of 17 MiB, which the dead-letter topic refuses": Bad(
        Code.TOO_LARGE, *_sound(("h", b"\xfe" * 17 * MIB))
    ),
    "too many messages": said(Code.TOO_MANY_MESSAGES, execution(messages=[{"role": "u"}] * 2_001)),
    "header bomb: thousands of headers": Bad(
        Code.TOO_LARGE, *_sound(*[(f"h{n}", b"x") for n in range(5_000)])
    ),
    "header bomb: a header of MiB": Bad(Code.TOO_LARGE, *_sound(("h", b"\xfe" * 5 * MIB))),
    "schema-registry framing": Bad(Code.REGISTRY_FRAMING, b"\0\0\0\0\5{}"),
    "lone surrogate": holding(Code.NOT_JSON, r'"\ud800"', note="@"),
    "lone surrogate as bytes": Bad(Code.NOT_JSON, b'{"id": "\xed\xa0\x80"}'),
    "dataref": said(Code.DATAREF, dataref="s3://bucket/key"),
    "two tenants": said(Code.TENANT_CONFLICT, execution(tenant_id="a"), tenantid="b"),
    "plan with a cycle": said(Code.PLAN_CYCLE, plan(steps=RING), "planning.completed"),
    "negative duration of a run": said(Code.INVALID_DATA, execution(metrics={"duration_ms": -1})),
    "negative duration of a message": said(
        Code.INVALID_DATA, execution(messages=[{"role": "tool", "duration_ms": -0.5}])
    ),
    "negative response time": said(
        Code.INVALID_DATA, telemetry(response_time_ms=-1), "telemetry.sampled"
    ),
    "score of 70 where 0-1 is meant": said(
        Code.INVALID_DATA, execution(outcome={"status": "success", "score": 70})
    ),
    "plan's score of 70": said(Code.INVALID_DATA, plan(score=70), "planning.completed"),
    "confidence of 70": said(Code.INVALID_DATA, execution(confidence=70)),
}
BASES: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
    RUN: (ExecutionData, execution()),
    "planning.completed": (PlanData, plan()),
    "feedback.received": (FeedbackData, thumb("run")),
    "telemetry.sampled": (TelemetryData, telemetry()),
    "gateway.adapter": (GatewayAdapterData, gateway()),
}
Place = tuple[str, ...]


def _model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether a list holds it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    inside = [_model(argument) for argument in get_args(annotation)]
    found = next((pair for pair in inside if pair[0] is not None), (None, False))
    return found[0], found[1] or (get_origin(annotation) is list and found[0] is not None)


def required(model: type[BaseModel], place: Place = ()) -> Iterator[Place]:
    """Where every required field of a type and of the types inside it lies; `0` is a list's item."""
    for name, field in model.model_fields.items():
        if field.is_required():
            yield (*place, name)
        inner, listed = _model(field.annotation)
        if inner is not None:
            yield from required(inner, (*place, name, *(["0"] if listed else [])))


def _least(model: type[BaseModel]) -> dict[str, Any]:
    """A value of every required field, of the right type."""
    return {
        name: _value(field.annotation)
        for name, field in model.model_fields.items()
        if field.is_required()
    }


def _value(annotation: Any) -> Any:
    inner, _ = _model(annotation)
    if inner is not None:
        return _least(inner)
    if get_origin(annotation) is Literal:
        return get_args(annotation)[0]
    if get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return _value(get_args(annotation)[0])
    return {str: "x", bool: True, datetime: "2026-01-31T12:00:00Z"}.get(annotation, 1)


def changed(kind: str, place: Place, wrong: Any) -> dict[str, Any]:
    """An event's data with a wrong value at one place; what leads there is right."""
    model, base = BASES[kind]
    data = inner = copy.deepcopy(base)
    for name, following in pairwise(place):
        if name == "0":
            continue
        found, listed = _model(model.model_fields[name].annotation)
        assert found is not None
        model = found
        least = _least(model)
        inner[name] = [least] if listed else {**least, **(inner.get(name) or {})}
        inner = inner[name][0] if listed else inner[name]
        assert listed == (following == "0")
    inner[place[-1]] = wrong
    return data


FIELDS = {
    f"{kind}: {'.'.join(place)} is {word}": said(
        Code.INVALID_DATA, changed(kind, place, wrong), kind
    )
    for kind, (model, _) in BASES.items()
    for place in required(model)
    for word, wrong in (("a list", [1]), ("null", None))
}
EVERY = {**KINDS, **FIELDS}
