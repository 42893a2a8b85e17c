"""Both content modes of the Kafka protocol binding, and what is kept of an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.envelope import decode, tenant_of
from schemas.events import ExecutionCompleted, UnknownEvent
from schemas.executions import ExecutionData
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

BODIES = [
    event("execution.completed", execution(), tenantid="t", traceparent="00-1-2-01"),
    event("planning.completed", plan()),
    event("feedback.received", edit("run", [{"name": "search", "arguments": {}}])),
    event("feedback.received", thumb("run")),
    event("feedback.received", erasure(user_id="u")),
    event("telemetry.sampled", telemetry()),
    event("gateway.adapter", gateway()),
    event("execution.completed", execution(any=["thing", None]), subject="s", dataschema="urn:x"),
]
STRUCTURED = b"application/cloudevents+json"


def kept(found: Any) -> dict[str, Any]:
    return dict(found.model_dump(exclude={"datacontenttype"}))


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["type"])
def test_both_modes_say_the_same(body: dict[str, Any]) -> None:
    structured = decode(record(body, headers=(("content-type", STRUCTURED),)))
    assert type(structured) is type(decode(binary(body)))
    assert kept(structured) == kept(decode(binary(body)))
    assert structured.id == body["id"]
    assert structured.time == datetime.fromisoformat(body["time"])


@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
@pytest.mark.parametrize(
    "kind",
    [
        "application/cloudevents+json",
        "application/cloudevents+json; charset=UTF-8",
        "Application/CloudEvents+JSON;charset=utf-8",
    ],
)
def test_the_content_type_makes_it_structured_even_beside_ce_headers(name: str, kind: str) -> None:
    body = event("execution.completed", execution())
    headers = ((name, kind.encode()), ("ce_id", b"other"), ("ce_type", b"telemetry.sampled"))
    found = decode(record(body, headers=headers))
    assert found.id == body["id"]
    assert isinstance(found, ExecutionCompleted)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "text/json", "application/x.y+json"],
)
def test_json_of_any_media_type_is_binary_data(kind: str) -> None:
    body = event("execution.completed", execution())
    found: Any = decode(binary(body, content_type=kind))
    assert found.datacontenttype == kind
    assert found.data.execution_id == body["data"]["execution_id"]


def test_header_names_have_no_case() -> None:
    sent = binary(event("execution.completed", execution()))
    shouted = sent._replace(headers=tuple((n.upper(), value) for n, value in sent.headers))
    assert decode(shouted) == decode(sent)


def test_without_any_header_the_value_is_the_event() -> None:
    body = event("execution.completed", execution())
    assert decode(record(body)).id == body["id"]
    assert decode(record(body, headers=(("content-type", b"application/json"),))).id == body["id"]


def test_headers_and_keys_of_others_may_be_any_bytes() -> None:
    sent = binary(event("execution.completed", execution()))
    noisy = (("x-dlt-offset", b"\x00\xff\xfe"), ("x-null", None))
    found = decode(sent._replace(key=b"\xff\xfe", headers=sent.headers + noisy))
    assert found == decode(sent)
    assert found.partitionkey is None


@pytest.mark.parametrize(
    "name", ["priority", "cls", "self", "_fields_set", "model_extra", "values"]
)
def test_any_extension_is_kept_whatever_its_name(name: str) -> None:
    body = event("execution.completed", execution(), **{name: "high"})
    for found in (decode(record(body)), decode(binary(body))):
        assert found.model_extra == {name: "high"}


def test_a_header_cannot_replace_the_data() -> None:
    sent = binary(event("execution.completed", execution()))
    found = decode(sent._replace(headers=(*sent.headers, ("ce_data", b"{}"))))
    assert isinstance(found.data, ExecutionData)


def test_unknown_fields_are_kept_at_every_depth() -> None:
    data = execution(team="blue", outcome={"status": "success", "grade": {"a": [1]}})
    found: Any = decode(record(event("execution.completed", data)))
    assert found.data.model_extra == {"team": "blue"}
    assert found.data.outcome.model_extra == {"grade": {"a": [1]}}


@pytest.mark.parametrize("data", [None, [1, 2], "text", 3, {"a": {"b": None}}])
def test_an_unknown_type_is_an_event_with_any_data(data: Any) -> None:
    found = decode(record(event("com.acme.other", data)))
    assert isinstance(found, UnknownEvent)
    assert found.data == data


@pytest.mark.parametrize("value", [None, b"", b"\0\0\0\0\5x", b"<a/>", b"\xff", b"[" * 99, b"NaN"])
def test_an_unknown_type_in_binary_mode_may_hold_anything(value: bytes | None) -> None:
    sent = binary(event("com.acme.other", {}, dataref="s3://b"), content_type="application/avro")
    found = decode(sent._replace(value=value))
    assert isinstance(found, UnknownEvent)
    assert (found.type, found.data) == ("com.acme.other", None)
    without = tuple(header for header in sent.headers if header[0] != "content-type")
    assert isinstance(decode(sent._replace(value=value, headers=without)), UnknownEvent)


@pytest.mark.parametrize("elsewhere", ["data_base64", "dataref"])
def test_an_unknown_type_in_structured_mode_may_have_its_data_elsewhere(elsewhere: str) -> None:
    body = {**event("com.acme.other", {}), elsewhere: "e30="}
    assert isinstance(decode(record({k: v for k, v in body.items() if k != "data"})), UnknownEvent)


def test_absent_stays_absent() -> None:
    least = {"execution_id": "r", "agent_id": "a", "task": {"prompt": ""}}
    body = {"specversion": "1.0", "id": "1", "source": "s", "type": "execution.completed"}
    data = {**least, "outcome": {"status": "error"}}
    for found in (decode(record({**body, "data": data})), decode(binary({**body, "data": data}))):
        assert (found.time, found.tenantid, found.subject) == (None, None, None)
        run: Any = found.data
        assert (run.confidence, run.session_id, run.tools, run.trust) == (None, None, None, None)
        assert (run.model.name, run.task.id, run.outcome.score) == (None, None, None)
        assert set(run.metrics.model_dump().values()) == {None}


def test_the_tenant_is_the_data_s_then_the_extension_s_then_default() -> None:
    def tenant(data: dict[str, Any], **attributes: Any) -> str:
        return tenant_of(decode(record(event("execution.completed", data, **attributes))))

    assert tenant(execution(tenant_id="a")) == "a"
    assert tenant(execution(), tenantid="b") == "b"
    assert tenant(execution(tenant_id="c"), tenantid="c") == "c"
    assert tenant(execution()) == "default"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00.25+02:00", datetime(2026, 1, 31, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456789-00:30", datetime(2026, 1, 31, 12, 30, 0, 123456, UTC)),
    ],
)
def test_times_are_read_with_their_offset(text: str, expected: datetime) -> None:
    body = json.dumps(event("execution.completed", execution(), time=text)).encode()
    assert decode(record(body)).time == expected
