"""Agreement with the CloudEvents SDK, both ways, wherever the SDK is right.

Its faults are not tested against: invented ids and times, structured events that carry ce_ headers,
binary data that is no JSON, keys that become attributes.
"""

from __future__ import annotations

from collections.abc import Callable
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

from schemas.envelope import decode
from schemas.errors import InvalidEvent
from schemas.events import UnknownEvent
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
    {"id": texts, "source": texts, "type": texts.map(lambda text: f"com.acme.{text}")},
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
    built = CloudEvent({**stated, "datacontenttype": "application/json"}, data)
    write = WRITE[mode]
    found = decode(as_record(write(built, JSONFormat())))
    assert isinstance(found, UnknownEvent)
    assert attributes(found) == stated
    assert found.data == data


@given(required, moments, st.dictionaries(names, texts, max_size=3), payloads, modes)
def test_what_we_read_the_sdk_reads_the_same(
    base: dict[str, Any], time: datetime, extra: dict[str, str], data: Any, mode: str
) -> None:
    stated = {"specversion": "1.0", **base, **extra, "time": time.isoformat()}
    sent = SEND[mode]({**stated, "data": data})
    theirs = READ[mode](as_message(sent), JSONFormat(), CloudEvent)
    found = decode(sent)
    known = theirs.get_attributes()
    assert {n: v for n, v in known.items() if n != "datacontenttype"} == attributes(found)
    assert theirs.get_data() == found.data


def test_an_execution_written_by_the_sdk_is_one() -> None:
    data = execution()
    stated = {"id": "1", "source": "s", "type": "execution.completed", "time": datetime.now(UTC)}
    built = CloudEvent({**stated, "datacontenttype": "application/json"}, data)
    for write in (to_binary, to_structured):
        found: Any = decode(as_record(write(built, JSONFormat())))
        assert found.data.execution_id == data["execution_id"]


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
