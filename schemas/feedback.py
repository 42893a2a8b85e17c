"""`feedback.received`, `telemetry.sampled` and `gateway.adapter`: what comes beside the runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from schemas.chat import Frozen, Items, Message
from schemas.executions import NotNegative, Share, Text

AuthorRole = Literal["user", "expert", "judge", "reviewer"]
FeedbackKind = Literal["thumb", "score", "edit", "comment", "decision", "erasure"]


class Target(Frozen):
    """The run that is spoken of, looked for inside one tenant."""

    execution_id: Text | None = None
    plan_id: Text | None = None
    source: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.execution_id is None) == (self.plan_id is None):
            raise ValueError("target names either execution_id or plan_id")
        return self


class Subject(Frozen):
    """Who or what is to be forgotten: a user, a session, a source, or one run of a source."""

    user_id: Text | None = None
    session_id: Text | None = None
    source: Text | None = None
    execution_id: Text | None = None
    plan_id: Text | None = None

    @model_validator(mode="after")
    def _known_shape(self) -> Self:
        given = self.model_dump(exclude_none=True).keys() & type(self).model_fields.keys()
        allowed = (
            {"user_id"},
            {"session_id"},
            {"source"},
            {"source", "execution_id"},
            {"source", "plan_id"},
        )
        if given not in allowed:
            raise ValueError(f"subject has an unknown shape: {sorted(given)}")
        return self


class FeedbackData(Frozen):
    """`data` of `feedback.received`: a thumb, score, edit, comment, decision or erasure."""

    kind: FeedbackKind
    author: Text
    author_role: AuthorRole
    target: Target | None = None
    subject: Subject | None = None
    tenant_id: str | None = None
    value: float | str | bool | None = None
    scale: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    confidence: Share | None = None
    messages: Items[Message] | None = None
    answer: Any = None
    comment: str | None = None
    judge: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problem = _feedback_problem(self)
        if problem:
            raise ValueError(problem)
        return self


def _feedback_problem(feedback: FeedbackData) -> str | None:
    kind = feedback.kind
    if kind == "erasure":
        return None if feedback.subject else "an erasure needs a subject"
    if feedback.target is None:
        return f"a {kind} needs a target"
    sound, rule = {
        "thumb": (feedback.value in (1, -1), "a thumb is 1 or -1"),
        "score": (_scored(feedback), "a score lies inside its scale"),
        "edit": (
            bool(feedback.messages) or feedback.answer is not None,
            "an edit needs messages or an answer",
        ),
        "decision": (
            feedback.value in ("accept", "reject"),
            "a decision is accept or reject",
        ),
    }.get(kind, (True, ""))
    return None if sound else rule


def _scored(feedback: FeedbackData) -> bool:
    low, high = feedback.scale or (0.0, 1.0)
    value = feedback.value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and low < high and low <= float(value or 0) <= high


class TelemetryData(Frozen):
    """`data` of `telemetry.sampled`: one sample of a component's health."""

    agent_id: Text | None = None
    component: Text | None = None
    tenant_id: str | None = None
    sampled_at: AwareDatetime
    cpu_usage: Share | None = None
    memory_usage: Share | None = None
    error_rate: Share | None = None
    response_time_ms: NotNegative | None = None
    failed: bool | None = None
    values: dict[str, float] = {}

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.agent_id is None and self.component is None:
            raise ValueError("telemetry names an agent_id or a component")
        return self


class GatewayAdapterData(Frozen):
    """`data` of `gateway.adapter`: what a gateway did with an adapter."""

    gateway_id: Text
    replica: str | None = None
    tenant_id: str | None = None
    model: Text
    adapter: Text
    adapter_digest: str | None = None
    state: Literal["activated", "failed", "unloaded"]
    detail: str | None = None
    decision_id: str | None = None
