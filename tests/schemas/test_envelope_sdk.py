"""Agreement with the CloudEvents SDK, both ways, wherever the SDK is right.

Its faults are not tested against: invented ids and times, structured events that carry ce_ headers,
binary data that is no JSON, keys that become attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage,
    from_binary,
    from_structured,
    to_binary,
    to_structured,
)
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from producers.encode import message
from producers.port import Outgoing
from schemas.envelope import decode
from schemas.errors import InvalidEvent
from schemas.events import ExecutionCompleted
from schemas.records import Record
from tests.support import binary, event, execution, record

SEND: dict[str, Callable[[dict[str, Any]], Record]] = {"binary": binary, "structured": record}
WRITE = {"binary": to_binary, "structured": to_structured}
READ = {"binary": from_binary, "structured": from_structured}
OURS = {"tenantid", "partitionkey", "traceparent", "tracestate", "dataref"}
KNOWN = {"specversion", "id", "source", "type", "time", "subject", "data", *OURS}
NAMED = KNOWN | {"datacontenttype", "dataschema"}
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
names = st.from_regex(r"[a-z][a-z0-9]{0,19}", fullmatch=True).filter(lambda name: name not in NAMED)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.builds(
    datetime.fromtimestamp,
    st.integers(-(2**31), 2**33).map(lambda number: number / 4),
    offsets,
)
modes = st.sampled_from(["binary", "structured"])
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
payloads = st.dictionaries(texts, values, max_size=4)
required = st.fixed_dictionaries(
    {"id": texts, "source": texts, "type": st.just("execution.completed")},
    optional={"subject": texts, "dataschema": texts, "tenantid": texts},
)


def as_record(message: KafkaMessage) -> Record:
    return record(message.value, headers=tuple(message.headers.items()))


def as_message(found: Record) -> KafkaMessage:
    headers = {name: value or b"" for name, value in found.headers}
    return KafkaMessage(headers, None, found.value or b"")


def attributes(found: Any) -> dict[str, Any]:
    stated = found.model_dump(exclude={"data", "datacontenttype"})
    return {name: value for name, value in stated.items() if value is not None}


@given(required, moments, st.dictionaries(names, texts, max_size=3), payloads, modes)
def test_what_the_sdk_writes_is_read_as_it_was_meant(
    base: dict[str, Any], time: datetime, extra: dict[str, str], data: Any, mode: str
) -> None:
    stated = {"specversion": "1.0", **base, **extra, "time": time}
    built = CloudEvent({**stated, "datacontenttype": "application/json"}, execution(note=data))
    write = WRITE[mode]
    found: Any = decode(as_record(write(built, JSONFormat())))
    assert isinstance(found, ExecutionCompleted)
    assert attributes(found) == stated
    assert found.data.model_extra == {"note": data}


@given(required, moments, st.dictionaries(names, texts, max_size=3), payloads, modes)
def test_what_we_read_the_sdk_reads_the_same(
    base: dict[str, Any], time: datetime, extra: dict[str, str], data: Any, mode: str
) -> None:
    stated = {"specversion": "1.0", **base, **extra, "time": time.isoformat()}
    sent = SEND[mode]({**stated, "data": execution(note=data)})
    theirs = READ[mode](as_message(sent), JSONFormat(), CloudEvent)
    found: Any = decode(sent)
    known = theirs.get_attributes()
    assert {n: v for n, v in known.items() if n != "datacontenttype"} == attributes(found)
    read: Any = theirs.get_data()
    assert read["note"] == found.data.model_extra["note"] == data


@given(
    required, moments | st.none(), st.dictionaries(names, texts, max_size=3), payloads, st.data()
)
def test_what_we_write_the_sdk_reads_without_complaint(
    base: dict[str, Any],
    time: datetime | None,
    extra: dict[str, str],
    data: dict[str, Any],
    draw: st.DataObject,
) -> None:
    """And so do we: what is written is what both read."""
    subject = draw.draw(texts | st.none())
    attributes_given = {name: base[name] for name in ("id", "source", "type")}
    written = Outgoing(
        topic="t",
        key="k",
        time=time,
        data=data,
        subject=subject,
        extensions=extra,
        **attributes_given,
    )
    value, sent = message(written)
    theirs = from_binary(KafkaMessage(dict(sent), b"k", value), JSONFormat(), CloudEvent)
    stated = {"specversion": "1.0", **attributes_given, **extra}
    if subject is not None:
        stated["subject"] = subject
    known = theirs.get_attributes()
    assert known.items() >= stated.items()
    assert known["datacontenttype"] == "application/json"
    assert time is None or known["time"] == time
    assert theirs.get_data() == data
    whole = {**execution(), "note": data}
    value, sent = message(replace(written, type="execution.completed", data=whole))
    ours: Any = decode(record(value, headers=tuple(sent)))
    expected = {**stated, "type": "execution.completed", "time": time}
    assert attributes(ours) == {name: text for name, text in expected.items() if text is not None}
    assert ours.data.model_extra["note"] == data


def test_an_execution_written_by_the_sdk_is_one() -> None:
    data = execution()
    stated = {"id": "1", "source": "s", "type": "execution.completed", "time": datetime.now(UTC)}
    built = CloudEvent({**stated, "datacontenttype": "application/json"}, data)
    for write in (to_binary, to_structured):
        found: Any = decode(as_record(write(built, JSONFormat())))
        assert found.data.execution_id == data["execution_id"]


@pytest.mark.parametrize("shape", [str.lower, str.upper, str.title])
@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON;CHARSET=UTF-8"],
)
def test_headers_of_the_sdk_in_any_case(shape: Callable[[str], str], kind: str) -> None:
    built = CloudEvent(
        {"id": "1", "source": "s", "type": "execution.completed", "datacontenttype": kind},
        execution(execution_id="r"),
    )
    sent = as_record(to_binary(built, JSONFormat()))
    headers = tuple((shape(name), value) for name, value in sent.headers)
    found: Any = decode(sent._replace(headers=headers))
    assert (found.id, found.data.execution_id) == ("1", "r")


@pytest.mark.parametrize(
    "kind",
    [
        "application/cloudevents+json; charset=UTF-8",
        "APPLICATION/CLOUDEVENTS+JSON",
        "application/cloudevents+json;charset=utf-8",
    ],
)
def test_structured_events_that_carry_headers_too(kind: str) -> None:
    """The SDK reads these as binary (its fault); the content type decides."""
    built = CloudEvent(
        {"id": "1", "source": "s", "type": "execution.completed"}, execution(execution_id="r")
    )
    sent = as_record(to_structured(built, JSONFormat()))
    headers = (("content-type", kind.encode()), ("ce_id", b"2"), ("Ce_Type", b"x"))
    found: Any = decode(sent._replace(headers=headers))
    assert (found.id, found.data.execution_id) == ("1", "r")


WRONG: list[dict[str, Any]] = [
    {"source": None},
    {"type": None},
    {"id": ""},
    {"source": ""},
    {"type": ""},
    {"specversion": "0.9"},
    {"specversion": "1.0.2"},
    {"time": "2026-03-01T12:00:00"},
]


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("change", WRONG, ids=str)
def test_what_the_sdk_refuses_we_refuse(change: dict[str, Any], mode: str) -> None:
    changed = {**event("com.acme.other", {"a": 1}), **change}
    body = {name: value for name, value in changed.items() if value is not None}
    sent = SEND[mode](body)
    with pytest.raises(CloudEventValidationError):
        READ[mode](as_message(sent), JSONFormat(), CloudEvent)
    with pytest.raises(InvalidEvent):
        decode(sent)
