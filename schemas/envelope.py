"""Reading CloudEvents 1.0 from Kafka records, by the Kafka protocol binding.

The content type decides the mode: `application/cloudevents…` is structured, all else is binary.
Attributes are checked before anything is decoded further, and nothing is ever invented: a record
without an id is a dead letter, not an event with a new id.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
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
from schemas.executions import ExecutionData, PlanData
from schemas.records import Record, UnreadableName
from schemas.wellformed import beyond_float, has_constant, stated_twice, too_deep

_REQUIRED = ("specversion", "id", "source", "type")
_ANY_JSON: TypeAdapter[Any] = TypeAdapter(Any)
_ATTRIBUTES: TypeAdapter[Attributes] = TypeAdapter(Attributes)
_MAX_HEADERS = 1_000
_TAGS = {*EVENT_CLASSES, "unknown"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an event may be at most."""

    max_bytes: int = 4 * 1024 * 1024
    max_messages: int = 2_000
    max_depth: int = 64


def decode(record: Record, limits: Limits = Limits()) -> InputEvent:
    """The event inside a record. Raises InvalidEvent with a code for whatever cannot be read."""
    value, headers = record.value, headers_of(record, limits)
    structured = is_structured(headers)
    if not structured and headers.get("ce_type") not in EVENT_CLASSES:
        return _foreign(value, headers)
    _refuse_dataref(headers.get("ce_dataref"))
    if not value:
        raise InvalidEvent(Code.EMPTY, "tombstone" if value is None else "zero bytes")
    _refuse_bytes(value, limits)
    event = _structured(value, headers) if structured else _binary(value, headers)
    if not isinstance(event, UnknownEvent):
        _check(event, limits)
        _refuse_repeats(value, event, structured=structured)
    return event


def tenant_of(event: Any) -> str:
    """The tenant: `data.tenant_id`, else the `tenantid` extension, else `default`."""
    stated = getattr(event.data, "tenant_id", None)
    return stated or event.tenantid or "default"


def headers_of(record: Record, limits: Limits) -> dict[str, str]:
    """The headers that CloudEvents gives a meaning; those of others may be any bytes."""
    headers: dict[str, str] = {}
    size = 0
    for given, raw in record.headers:
        size += len(given) + len(raw or b"")
        if type(given) is UnreadableName:
            raise InvalidEvent(Code.BAD_HEADER, f"the name {given[:80]} is not UTF-8")
        name = given.lower()
        if name == "content-type" or name.startswith("ce_"):
            try:
                text = (raw or b"").decode()
            except UnicodeDecodeError as error:
                raise InvalidEvent(Code.BAD_HEADER, f"{name[:80]}: {error.reason}") from None
            if headers.setdefault(name, text) != text:
                raise InvalidEvent(Code.BAD_HEADER, f"{name[:80]} has two values")
    if size > limits.max_bytes or len(record.headers) > _MAX_HEADERS:
        raise InvalidEvent(Code.TOO_LARGE, f"{len(record.headers)} headers of {size} bytes")
    return headers


def is_structured(headers: dict[str, str]) -> bool:
    """Whether the value holds the attributes too: by the content type, or for want of others."""
    if headers.get("content-type", "").lower().startswith("application/cloudevents"):
        return True
    return not any(name.startswith("ce_") for name in headers)


@lru_cache(256)
def refuse_content_type(kind: str) -> None:
    """Raises InvalidEvent(CONTENT_TYPE) unless it says JSON in UTF-8, one event a record."""
    media, *parameters = (part.strip() for part in kind.lower().split(";"))
    if not media.endswith("json") or media.startswith("application/cloudevents-batch"):
        raise InvalidEvent(Code.CONTENT_TYPE, kind[:80] or "none")
    for parameter in parameters:
        name, _, stated = parameter.partition("=")
        if name.strip() == "charset" and stated.strip(' "') not in ("utf-8", "utf8", "us-ascii"):
            raise InvalidEvent(Code.CONTENT_TYPE, f"{kind[:80]}: not UTF-8")


def _refuse_bytes(value: bytes, limits: Limits) -> None:
    """What is refused before anything is parsed."""
    if len(value) > limits.max_bytes:
        raise InvalidEvent(Code.TOO_LARGE, f"{len(value)} bytes, limit {limits.max_bytes}")
    if value[0] == 0:
        raise InvalidEvent(Code.REGISTRY_FRAMING, "the value begins with byte 0")
    if too_deep(value, limits.max_depth):
        raise InvalidEvent(Code.TOO_DEEP, f"deeper than {limits.max_depth}")
    if has_constant(value):
        raise InvalidEvent(Code.NOT_JSON, "JSON has no NaN and no Infinity")
    if beyond_float(value):
        raise InvalidEvent(Code.BEYOND_FLOAT, "larger than 1.8e308")


def _refuse_repeats(value: bytes, event: InputEvent, *, structured: bool) -> None:
    data = event.data
    top: list[tuple[str, str]] = []
    inside: list[tuple[str, str]] = []
    if structured:
        top += ("id", event.id), ("source", event.source), ("type", event.type)
        if event.tenantid is not None:
            top.append(("tenantid", event.tenantid))
    if isinstance(data, ExecutionData):
        inside.append(("execution_id", data.execution_id))
    elif isinstance(data, PlanData):
        inside.append(("plan_id", data.plan_id))
    tenant = getattr(data, "tenant_id", None)
    if tenant is not None:
        inside.append(("tenant_id", tenant))
    again = stated_twice(value, top, inside, structured=structured)
    if again:
        raise InvalidEvent(Code.DUPLICATE_KEYS, again)


def _structured(value: bytes, headers: dict[str, str]) -> InputEvent:
    refuse_content_type(headers.get("content-type", "application/cloudevents+json"))
    try:
        event: InputEvent = STRUCTURED.validate_json(value)
    except ValidationError as error:
        problem = _invalid(error)
        if problem.code is Code.INVALID_DATA:
            body = _ANY_JSON.validate_json(value)
            _refuse_elsewhere(body if isinstance(body, dict) else {})
        raise problem from None
    return event


def _foreign(value: bytes | None, headers: dict[str, str]) -> InputEvent:
    """A binary event of a type that is not ours: only its attributes are judged, never its data."""
    try:
        return UnknownEvent.model_validate(_attributes(headers))
    except ValidationError as error:
        problem = _invalid(error)
        if not value and problem.code is Code.MISSING_ATTRIBUTE:
            problem = InvalidEvent(Code.EMPTY, "tombstone" if value is None else "zero bytes")
        raise problem from None


def _attributes(headers: dict[str, str]) -> dict[str, Any]:
    attributes: dict[str, Any] = {n[3:]: v for n, v in headers.items() if n.startswith("ce_")}
    attributes.pop("data", None)
    if "content-type" in headers:
        attributes["datacontenttype"] = headers["content-type"]
    return attributes


def _binary(value: bytes, headers: dict[str, str]) -> InputEvent:
    refuse_content_type(headers.get("content-type", ""))
    attributes = _attributes(headers)
    try:
        _ATTRIBUTES.validate_python(attributes)
        data = DATA_ADAPTERS[attributes["type"]].validate_json(value)
    except ValidationError as error:
        raise _invalid(error) from None
    event: Any = EVENT_CLASSES[attributes["type"]].model_validate({**attributes, "data": data})
    return event  # type: ignore[no-any-return]


def _check(event: InputEvent, limits: Limits) -> None:
    if event.model_extra:
        _refuse_elsewhere(event.model_extra)
    stated = getattr(event.data, "tenant_id", None)
    if stated and event.tenantid and stated != event.tenantid:
        raise InvalidEvent(Code.TENANT_CONFLICT, f"{event.tenantid[:80]!r} and {stated[:80]!r}")
    if isinstance(event.data, ExecutionData) and len(event.data.messages) > limits.max_messages:
        raise InvalidEvent(Code.TOO_MANY_MESSAGES, f"{len(event.data.messages)} messages")


def _refuse_dataref(reference: Any) -> None:
    if reference is not None:
        raise InvalidEvent(Code.DATAREF, str(reference)[:80])


def _refuse_elsewhere(body: dict[str, Any]) -> None:
    """Data that is said to be elsewhere or no JSON: a better reason than that it is missing."""
    _refuse_dataref(body.get("dataref"))
    if body.get("data_base64") is not None:
        raise InvalidEvent(Code.CONTENT_TYPE, "data_base64: the data is not JSON")
    kind = body.get("datacontenttype")
    if isinstance(kind, str):
        refuse_content_type(kind)


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
