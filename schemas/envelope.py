"""Reading CloudEvents 1.0 from Kafka records, by the Kafka protocol binding.

The content type decides the mode: `application/cloudevents…` is structured, all else is binary.
Attributes are checked before anything is decoded further, and nothing is ever invented: a record
without an id is a dead letter, not an event with a new id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.errors import Code, InvalidEvent
from schemas.events import (
    DATA_ADAPTERS,
    EVENT_CLASSES,
    STRUCTURED,
    Attributes,
    InputEvent,
    UnknownEvent,
)
from schemas.executions import ExecutionData
from schemas.records import Record

_REQUIRED = ("specversion", "id", "source", "type")
_ANY_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_ATTRIBUTES: TypeAdapter[Attributes] = TypeAdapter(Attributes)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_A_NUMBER = re.compile(rb"NaN|Infinity")
_STEPS = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
_TAGS = {*EVENT_CLASSES, "unknown"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an event may be at most."""

    max_bytes: int = 4 * 1024 * 1024
    max_messages: int = 2_000
    max_depth: int = 64


def decode(record: Record, limits: Limits = Limits()) -> InputEvent:
    """The event inside a record. Raises InvalidEvent with a code for whatever cannot be read."""
    value, headers = record.value, _headers(record)
    _refuse_dataref(headers.get("ce_dataref"))
    if not value:
        raise InvalidEvent(Code.EMPTY, "tombstone" if value is None else "zero bytes")
    if len(value) > limits.max_bytes:
        raise InvalidEvent(Code.TOO_LARGE, f"{len(value)} bytes, limit {limits.max_bytes}")
    if value[0] == 0:
        raise InvalidEvent(Code.REGISTRY_FRAMING, "the value begins with byte 0")
    if _too_deep(value, limits.max_depth):
        raise InvalidEvent(Code.TOO_DEEP, f"deeper than {limits.max_depth}")
    if _NOT_A_NUMBER.search(value) and _NOT_A_NUMBER.search(_STRING.sub(b"", value)):
        raise InvalidEvent(Code.NOT_JSON, "JSON has no NaN and no Infinity")
    structured = headers.get("content-type", "").lower().startswith("application/cloudevents")
    if structured or not any(name.startswith("ce_") for name in headers):
        event = _structured(value, headers)
    else:
        event = _binary(value, headers)
    _check(event, limits)
    return event


def tenant_of(event: InputEvent) -> str:
    """The tenant: `data.tenant_id`, else the `tenantid` extension, else `default`."""
    stated = getattr(event.data, "tenant_id", None)
    return stated or event.tenantid or "default"


def _headers(record: Record) -> dict[str, str]:
    """The headers that CloudEvents gives a meaning; those of others may be any bytes."""
    named = [(name.lower(), raw or b"") for name, raw in record.headers]
    try:
        return {n: raw.decode() for n, raw in named if n == "content-type" or n.startswith("ce_")}
    except UnicodeDecodeError as error:
        raise InvalidEvent(Code.NOT_JSON, f"a header is not UTF-8: {error.reason}") from None


def _structured(value: bytes, headers: dict[str, str]) -> InputEvent:
    kind = headers.get("content-type", "").lower()
    if kind and "json" not in kind:
        raise InvalidEvent(Code.CONTENT_TYPE, kind[:80])
    try:
        event: InputEvent = STRUCTURED.validate_json(value)
    except ValidationError as error:
        problem = _invalid(error)
        if problem.code is Code.INVALID_DATA:
            body = _ANY_JSON.validate_json(value)
            _refuse_dataref(body.get("dataref") if isinstance(body, dict) else None)
        raise problem from None
    return event


def _binary(value: bytes, headers: dict[str, str]) -> InputEvent:
    attributes: dict[str, Any] = {n[3:]: v for n, v in headers.items() if n.startswith("ce_")}
    content_type = headers.get("content-type")
    if content_type is None or "json" not in content_type.lower():
        raise InvalidEvent(Code.CONTENT_TYPE, f"{content_type or 'none'}"[:80])
    attributes["datacontenttype"] = content_type
    try:
        checked = _ATTRIBUTES.validate_python(attributes)
        adapter = DATA_ADAPTERS.get(checked.type, _ANY_JSON)
        data = adapter.validate_json(value)
    except ValidationError as error:
        raise _invalid(error) from None
    kind: Any = EVENT_CLASSES.get(checked.type, UnknownEvent)
    event: InputEvent = kind.model_validate({**attributes, "data": data})
    return event


def _check(event: InputEvent, limits: Limits) -> None:
    _refuse_dataref((event.model_extra or {}).get("dataref"))
    stated = getattr(event.data, "tenant_id", None)
    if stated and event.tenantid and stated != event.tenantid:
        raise InvalidEvent(Code.TENANT_CONFLICT, f"{event.tenantid[:80]!r} and {stated[:80]!r}")
    if isinstance(event.data, ExecutionData) and len(event.data.messages) > limits.max_messages:
        raise InvalidEvent(Code.TOO_MANY_MESSAGES, f"{len(event.data.messages)} messages")


def _refuse_dataref(reference: Any) -> None:
    """A claim check mostly comes without data: then this is the reason, not that data is missing."""
    if reference is not None:
        raise InvalidEvent(Code.DATAREF, str(reference)[:80])


def _too_deep(value: bytes, limit: int) -> bool:
    """Whether the JSON nests deeper than `limit`; linear in the size, whatever it holds."""
    if value.count(b"{") + value.count(b"[") <= limit:
        return False
    brackets = _STRING.sub(b"", value).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > limit


def _invalid(error: ValidationError) -> InvalidEvent:
    """The one code that says best what pydantic found."""
    problems = error.errors(include_url=False, include_input=False)
    first = problems[0]
    path = _path(first["loc"])
    name = path[0] if path else ""
    detail = "; ".join(
        f"{'.'.join(_path(problem['loc'])) or 'value'}: {problem['msg']}"
        for problem in problems[:3]
    )[:500]
    if first["type"] in ("json_invalid", "json_type"):
        return InvalidEvent(Code.NOT_JSON, detail)
    if len(path) == 1 and name in _REQUIRED:
        wrong = name == "specversion" and first["type"] == "literal_error"
        return InvalidEvent(Code.WRONG_SPECVERSION if wrong else Code.MISSING_ATTRIBUTE, detail)
    if len(path) == 1 and name == "time":
        return InvalidEvent(Code.BAD_TIME, detail)
    if "plan has a cycle" in first["msg"]:
        return InvalidEvent(Code.PLAN_CYCLE, detail)
    return InvalidEvent(Code.INVALID_DATA, detail)


def _path(location: tuple[int | str, ...]) -> list[str]:
    return [str(part) for part in location if part not in _TAGS]
