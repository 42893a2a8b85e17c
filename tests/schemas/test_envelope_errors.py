"""Every way in which a record cannot be read has its code, and none becomes another exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.envelope import Limits, decode
from schemas.errors import Code, InvalidEvent
from schemas.records import Record
from tests.support import binary, event, execution, plan, record, telemetry, thumb

LIMITS = Limits(max_bytes=20_000, max_messages=20, max_depth=16)
RUN = "execution.completed"


def sent(data: Any = None, kind: str = RUN, **attributes: Any) -> Record:
    return record(event(kind, execution() if data is None else data, **attributes))


def without(*names: str) -> list[Record]:
    body = {k: v for k, v in event(RUN, execution()).items() if k not in names}
    return [record(body), binary(body)]


def both(data: Any = None, kind: str = RUN, **attributes: Any) -> list[Record]:
    body = event(kind, execution() if data is None else data, **attributes)
    return [record(body), binary(body)]


def raw(text: bytes | None, *headers: tuple[str, bytes | None]) -> Record:
    return record(text, headers=headers)


def constant(name: str, field: str) -> list[Record]:
    """Events whose `field` is a JavaScript constant that JSON does not have."""
    return [
        found._replace(value=(found.value or b"").replace(b'"@"', name.encode()))
        for found in both(execution(**{field: "@"}))
    ]


def messages(count: int) -> dict[str, Any]:
    return execution(messages=[{"role": "user", "content": "x"}] * count)


def deep(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return execution(note=value)


TOO_GREAT = (
    "1e400",
    "-1.5E+999",
    "1e0000000400",
    "9" * 5_000,
    "9" * 250 + "e99",
    "1" * 309 + "9.5",
)


def twice(key: str) -> Record:
    """A structured event that begins with this key, and states it once more as it should be."""
    text = (sent().value or b"").decode()
    return raw(("{" + key + ", " + text[1:]).encode())


def tenants() -> list[Record]:
    found = both(execution(tenant_id="a", tenant_ID="b"))
    return [r._replace(value=(r.value or b"").replace(b"tenant_ID", b"tenant_id")) for r in found]


def run_ids() -> list[Record]:
    found = both(execution(execution_ID="other"))
    return [r._replace(value=(r.value or b"").replace(b"_ID", b"_id")) for r in found]


def headed(*headers: tuple[str, bytes | None]) -> Record:
    found = binary(event(RUN, execution()))
    return found._replace(headers=(*found.headers, *headers))


STEP = {"id": "a", "depends_on": ["a"]}
RING = [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["c"]}]
CASES: dict[str, tuple[Code, list[Record]]] = {
    "not json": (Code.NOT_JSON, [raw(b"hello"), raw(b'{"a":'), raw(b"\xff\xfe"), raw(b"{}x")]),
    "binary data is not json": (Code.NOT_JSON, [binary(event(RUN, {}))._replace(value=b"{oops")]),
    "a header is not utf-8": (Code.BAD_HEADER, [raw(b"{}", ("ce_id", b"\xff"))]),
    "lone surrogate": (Code.NOT_JSON, [raw(b'{"id":"\\ud800"}')]),
    "NaN": (Code.NOT_JSON, [*constant("NaN", "confidence"), *constant("NaN", "unknown_field")]),
    "Infinity": (Code.NOT_JSON, constant("-Infinity", "sampling")),
    "a number of no size": (
        Code.BEYOND_FLOAT,
        [
            *both(execution(confidence=10**400)),
            *both(execution(note=10**400)),
            *[found for text in TOO_GREAT for found in constant(text, "note")],
            *[found for text in TOO_GREAT for found in constant(text, "confidence")],
        ],
    ),
    "an attribute twice": (
        Code.DUPLICATE_KEYS,
        [twice(f'"{name}": "other"') for name in ("id", "source", "type")],
    ),
    "a tenant twice": (Code.DUPLICATE_KEYS, tenants()),
    "data twice": (Code.DUPLICATE_KEYS, [twice('"data": {"execution_id": "r"}')]),
    "a run id twice": (Code.DUPLICATE_KEYS, run_ids()),
    "a header twice": (Code.BAD_HEADER, [headed(("CE_ID", b"other"))]),
    "data_base64": (
        Code.CONTENT_TYPE,
        [
            record({**event(RUN, {}, data_base64="e30="), "data": None}),
            sent(data_base64="e30="),
        ],
    ),
    "structured data of another type": (
        Code.CONTENT_TYPE,
        [record({**event(RUN, {}, datacontenttype="text/xml"), "data": "<a/>"})],
    ),
    "not utf-8": (
        Code.CONTENT_TYPE,
        [
            binary(event(RUN, execution()), content_type="application/json; charset=utf-16"),
            record(
                event(RUN, execution()),
                headers=(("content-type", b"application/cloudevents+json; charset=ISO-8859-1"),),
            ),
        ],
    ),
    "a batch": (
        Code.CONTENT_TYPE,
        [raw(b"[]", ("content-type", b"application/cloudevents-batch+json"))],
    ),
    "no object": (Code.INVALID_DATA, [raw(b"[1]"), raw(b"5"), raw(b"null"), raw(b'"text"')]),
    "binary data is no object": (Code.INVALID_DATA, [binary(event(RUN, {}))._replace(value=b"[]")]),
    "empty": (Code.EMPTY, [raw(b""), raw(b"", ("ce_id", b"1"))]),
    "tombstone": (Code.EMPTY, [raw(None), raw(None, ("ce_id", b"1"))]),
    "no id": (Code.MISSING_ATTRIBUTE, without("id")),
    "no source": (Code.MISSING_ATTRIBUTE, without("source")),
    "no type": (Code.MISSING_ATTRIBUTE, without("type")),
    "no specversion": (Code.MISSING_ATTRIBUTE, without("specversion")),
    "nothing at all": (Code.MISSING_ATTRIBUTE, [raw(b"{}")]),
    "empty id": (Code.MISSING_ATTRIBUTE, both(id="")),
    "empty source": (Code.MISSING_ATTRIBUTE, both(source="")),
    "empty type": (Code.MISSING_ATTRIBUTE, both(kind="")),
    "null header": (
        Code.MISSING_ATTRIBUTE,
        [raw(b"{}", ("ce_id", None), ("content-type", b"json"))],
    ),
    "id is a number": (Code.MISSING_ATTRIBUTE, [sent(id=7)]),
    "type is a list": (Code.MISSING_ATTRIBUTE, [record({**event(RUN, {}), "type": [RUN]})]),
    "old specversion": (Code.WRONG_SPECVERSION, both(specversion="0.3")),
    "no such specversion": (Code.WRONG_SPECVERSION, both(specversion="1.0.2")),
    "empty specversion": (Code.WRONG_SPECVERSION, both(specversion="")),
    "time without offset": (Code.BAD_TIME, both(time="2026-01-31T12:00:00")),
    "date alone": (Code.BAD_TIME, both(time="2026-01-31")),
    "time in words": (Code.BAD_TIME, both(time="yesterday")),
    "time as a number": (Code.BAD_TIME, both(time=1_767_225_600)),
    "no such hour": (Code.BAD_TIME, both(time="2026-01-31T25:00:00Z")),
    "before year 1 in UTC": (Code.BAD_TIME, both(time="0001-01-01T00:00:00+01:00")),
    "after year 9999 in UTC": (Code.BAD_TIME, both(time="9999-12-31T23:59:59-01:00")),
    "confidence 70": (Code.INVALID_DATA, both(execution(confidence=70))),
    "confidence in words": (Code.INVALID_DATA, both(execution(confidence="high"))),
    "no data": (Code.INVALID_DATA, without("data")),
    "no outcome": (Code.INVALID_DATA, both({**execution(), "outcome": None})),
    "unknown status": (Code.INVALID_DATA, both(execution(outcome={"status": "fine"}))),
    "empty execution id": (Code.INVALID_DATA, both(execution(execution_id=""))),
    "messages is a string": (Code.INVALID_DATA, both(execution(messages="hi"))),
    "a message is a number": (Code.INVALID_DATA, both(execution(messages=[1]))),
    "negative cost": (Code.INVALID_DATA, both(execution(metrics={"cost_usd": -1}))),
    "subject is a number": (Code.INVALID_DATA, [sent(subject=5)]),
    "a thumb of two": (Code.INVALID_DATA, both(thumb("r", 2), kind="feedback.received")),
    "a sample of nobody": (
        Code.INVALID_DATA,
        both(telemetry(agent_id=None), kind="telemetry.sampled"),
    ),
    "too large": (Code.TOO_LARGE, [raw(b" " * 20_001)]),
    "headers too large": (
        Code.TOO_LARGE,
        [headed(("x", b" " * 20_001)), headed((" " * 20_001, None))],
    ),
    "too many headers": (Code.TOO_LARGE, [headed(*[("x", None)] * 1_001)]),
    "dataref beside data": (Code.DATAREF, both(dataref="s3://bucket/key")),
    "dataref instead of data": (
        Code.DATAREF,
        [
            record({**event(RUN, {}, dataref="s3://bucket/key"), "data": None}),
            record({k: v for k, v in event(RUN, {}, dataref="s3://b").items() if k != "data"}),
            binary(event(RUN, {}, dataref="s3://bucket/key"))._replace(value=None),
        ],
    ),
    "registry framing": (Code.REGISTRY_FRAMING, [raw(b"\0\0\0\0\5" + (sent().value or b""))]),
    "avro": (
        Code.CONTENT_TYPE,
        [
            binary(event(RUN, execution()), content_type="application/avro"),
            raw(b"{}", ("content-type", b"application/cloudevents+avro")),
        ],
    ),
    "binary without content type": (
        Code.CONTENT_TYPE,
        [raw(b"{}", *binary(event(RUN, {})).headers[1:])],
    ),
    "too deep": (Code.TOO_DEEP, both(deep(16))),
    "too many messages": (Code.TOO_MANY_MESSAGES, both(messages(21))),
    "two tenants": (Code.TENANT_CONFLICT, both(execution(tenant_id="a" * 999), tenantid="b" * 999)),
    "a step that needs itself": (
        Code.PLAN_CYCLE,
        both(plan(steps=[STEP]), kind="planning.completed"),
    ),
    "a ring of steps": (
        Code.PLAN_CYCLE,
        both(
            plan(steps=[*RING, {"id": "c", "depends_on": ["a"]}]),
            kind="planning.completed",
        ),
    ),
}
FINE: dict[str, Callable[[], Record]] = {
    "as many messages as allowed": lambda: sent(messages(20)),
    "as deep as allowed": lambda: sent(deep(14)),
    "brackets in strings are not depth": lambda: sent(execution(note="[" * 500 + '\\"{' * 9)),
    "constants in strings are text": lambda: sent(execution(note='NaN "Infinity" \\')),
    "steps may name steps of other plans": lambda: sent(plan(steps=RING), "planning.completed"),
    "great numbers in strings are text": lambda: sent(execution(note="1e400, " + "9" * 500)),
    "great numbers that a double holds": lambda: sent(execution(note=[1e308, 10**308, -1e308])),
    "small numbers": lambda: constant("1e-400", "note")[0],
    "many digits": lambda: constant("0." + "3" * 5_000, "note")[0],
    "the same value twice": lambda: twice('"specversion": "1.0"'),
    "another key twice": lambda: twice('"subject": "a", "subject": "b"'),
    "a header twice, the same": lambda: headed(("CE_SPECVERSION", b"1.0")),
    "names of keys in data": lambda: sent(execution(note={"id": "x", "data": {"tenant_id": "x"}})),
    "keys in another order": lambda: record(dict(sorted(event(RUN, execution()).items()))),
    "an id that is escaped": lambda: sent(id='é"'),
    "no time": lambda: sent(time=None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_read_has_its_code(name: str) -> None:
    code, records = CASES[name]
    for found in records:
        with pytest.raises(InvalidEvent) as caught:
            decode(found, LIMITS)
        assert caught.value.code is code, found.value
        assert len(caught.value.detail) <= 500


def test_every_code_of_events_has_a_case() -> None:
    events = {code for code in Code if code.number.startswith("E70")}
    assert {code for code, _ in CASES.values()} == events


@pytest.mark.parametrize("name", FINE)
def test_what_looks_similar_is_read(name: str) -> None:
    assert decode(FINE[name](), LIMITS).id


def test_the_detail_names_the_field() -> None:
    with pytest.raises(InvalidEvent, match=r"^E7006 .*data\.confidence: .*less than or equal to 1"):
        decode(sent(execution(confidence=70)))
