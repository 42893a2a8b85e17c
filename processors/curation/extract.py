"""What of an event's text is kept: one shape for executions, plans and corrections.

The result is plain JSON, to be redacted as a whole and stored in the row's `content`.
"""

from __future__ import annotations

from typing import Any

from schemas import structs
from schemas.digests import digest_of
from schemas.executions import ExecutionData, PlanData, RunData
from schemas.feedback import FeedbackData, TelemetryData


def execution_content(data: ExecutionData | structs.ExecutionData) -> dict[str, Any]:
    """The conversation and the tools. A run without messages is its prompt and its answer."""
    messages = [message.canonical() for message in data.messages]
    if not messages:
        messages = [{"role": "user", "content": data.task.prompt}]
        if isinstance(data.outcome.answer, str):
            messages.append({"role": "assistant", "content": data.outcome.answer})
    content: dict[str, Any] = {"messages": messages, "tools": data.tools}
    if data.task.reference is not None:
        content["reference"] = data.task.reference
    if isinstance(data, ExecutionData) and data.artifacts:
        content["artifacts"] = [
            a.model_dump(mode="json", exclude_none=True) for a in data.artifacts
        ]
    return content


def plan_content(data: PlanData) -> dict[str, Any]:
    """The goal and the steps, a DAG."""
    steps = [step.model_dump(mode="json", exclude_none=True) for step in data.steps]
    return {"goal": data.goal, "steps": steps, "tools": data.tools}


def feedback_content(data: FeedbackData) -> dict[str, Any] | None:
    """A correction's messages or answer, a comment's text; None where there is no text."""
    if data.kind == "edit":
        if data.messages:
            return {"messages": [message.canonical() for message in data.messages]}
        return {"answer": data.answer}
    return {"comment": data.comment} if data.comment else None


def telemetry_content(data: TelemetryData) -> dict[str, Any]:
    """The gauges of a sample."""
    return data.model_dump(mode="json", exclude_none=True, exclude={"tenant_id"})


def tools_digest(data: RunData | structs.ExecutionData) -> str | None:
    """The digest of the tool definitions as the model saw them, else the one that was stated."""
    if isinstance(data, structs.ExecutionData):
        return data.digest_of_tools or data.tools_digest
    return data.tools_digest if data.tools is None else digest_of(data.tools)
