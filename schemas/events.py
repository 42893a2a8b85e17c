"""CloudEvents that come in: attributes, the typed union, and the names of the topics."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Discriminator,
    Tag,
    TypeAdapter,
)

from schemas.chat import Frozen
from schemas.executions import ExecutionData, PlanData, Text
from schemas.feedback import FeedbackData, GatewayAdapterData, TelemetryData

EXECUTION = "execution.completed"
PLAN = "planning.completed"
FEEDBACK = "feedback.received"
TELEMETRY = "telemetry.sampled"
GATEWAY = "gateway.adapter"
INPUT_TYPES = (EXECUTION, PLAN, FEEDBACK, TELEMETRY, GATEWAY)
LIFECYCLE_TOPIC = "model.lifecycle"
DEAD_LETTER_TOPIC = "lorikeet.dead-letter"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _rfc3339(value: Any) -> Any:
    if value is not None and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
        raise ValueError("time is not RFC 3339 with an offset")
    return value


def _in_utc(value: datetime | None) -> datetime | None:
    try:
        return value and value.astimezone(UTC)
    except OverflowError:
        raise ValueError("time is outside the years 1 to 9999 in UTC") from None


Time = Annotated[AwareDatetime | None, BeforeValidator(_rfc3339), AfterValidator(_in_utc)]


class Attributes(Frozen):
    """The context attributes of a CloudEvent; extensions are kept as extra fields."""

    specversion: Literal["1.0"]
    id: Text
    source: Text
    type: Text
    time: Time = None
    subject: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    tenantid: str | None = None
    partitionkey: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class ExecutionCompleted(Attributes):
    """An agent ended a run."""

    type: Literal["execution.completed"]
    data: ExecutionData


class PlanningCompleted(Attributes):
    """An agent ended planning."""

    type: Literal["planning.completed"]
    data: PlanData


class FeedbackReceived(Attributes):
    """Somebody judged, corrected or withdrew a run."""

    type: Literal["feedback.received"]
    data: FeedbackData


class TelemetrySampled(Attributes):
    """A component's health was sampled."""

    type: Literal["telemetry.sampled"]
    data: TelemetryData


class GatewayAdapter(Attributes):
    """A gateway loaded, refused or unloaded an adapter."""

    type: Literal["gateway.adapter"]
    data: GatewayAdapterData


class UnknownEvent(Attributes):
    """A sound CloudEvent of a type that is not ours: rejected, not dead-lettered."""

    data: Any = None


InputEvent: TypeAlias = (
    ExecutionCompleted
    | PlanningCompleted
    | FeedbackReceived
    | TelemetrySampled
    | GatewayAdapter
    | UnknownEvent
)


def _tag(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if kind in INPUT_TYPES else "unknown"


STRUCTURED: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        Annotated[ExecutionCompleted, Tag(EXECUTION)]
        | Annotated[PlanningCompleted, Tag(PLAN)]
        | Annotated[FeedbackReceived, Tag(FEEDBACK)]
        | Annotated[TelemetrySampled, Tag(TELEMETRY)]
        | Annotated[GatewayAdapter, Tag(GATEWAY)]
        | Annotated[UnknownEvent, Tag("unknown")],
        Discriminator(_tag),
    ]
)
"""Validates a structured-mode event straight from its bytes."""

EVENT_CLASSES: dict[str, type[Attributes]] = {
    EXECUTION: ExecutionCompleted,
    PLAN: PlanningCompleted,
    FEEDBACK: FeedbackReceived,
    TELEMETRY: TelemetrySampled,
    GATEWAY: GatewayAdapter,
}
DATA_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    EXECUTION: TypeAdapter(ExecutionData),
    PLAN: TypeAdapter(PlanData),
    FEEDBACK: TypeAdapter(FeedbackData),
    TELEMETRY: TypeAdapter(TelemetryData),
    GATEWAY: TypeAdapter(GatewayAdapterData),
}
"""Validates binary-mode data straight from the record's value."""
