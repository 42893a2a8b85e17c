"""Factories for events, records and rows, used by many tests."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.records import Record
from schemas.rows import Disposition, Row

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    for name in ("search", "book")
]


def call(name: str = "search", **arguments: Any) -> dict[str, Any]:
    """A flat tool call."""
    return {"name": name, "arguments": arguments}


def execution(**changes: Any) -> dict[str, Any]:
    """`data` of an execution that succeeds, is traceable and would be accepted."""
    data = {
        "execution_id": f"run-{uuid.uuid4()}",
        "agent_id": "agent",
        "task": {"prompt": "find a train to lyon", "id": f"task-{uuid.uuid4()}"},
        "messages": [
            {"role": "user", "content": "find a train to lyon"},
            {"role": "assistant", "content": None, "tool_calls": [call(to="lyon")]},
            {"role": "tool", "content": "ok"},
        ],
        "tools": TOOLS,
        "outcome": {"status": "success"},
        "confidence": 0.9,
        "model": {"name": "m"},
        "session_id": str(uuid.uuid4()),
    }
    return {**data, **changes}


def edit(run: str, calls: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """`data` of an expert's correction of a run."""
    data = {
        "kind": "edit",
        "author": "ann",
        "author_role": "expert",
        "target": {"execution_id": run},
        "messages": [{"role": "assistant", "content": None, "tool_calls": calls}],
    }
    return {**data, **changes}


def plan(**changes: Any) -> dict[str, Any]:
    """`data` of a valid plan."""
    data = {
        "plan_id": f"plan-{uuid.uuid4()}",
        "agent_id": "agent",
        "goal": "go to lyon",
        "steps": [{"id": "a", "tool": "search"}, {"id": "b", "tool": "book", "depends_on": ["a"]}],
        "valid": True,
        "model": {"name": "m"},
    }
    return {**data, **changes}


def event(kind: str, data: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """A structured CloudEvent."""
    envelope = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "urn:test",
        "type": kind,
        "time": NOW.isoformat(),
        "data": data,
    }
    return {**envelope, **attributes}


def record(
    body: dict[str, Any] | bytes | None,
    *,
    offset: int = 0,
    partition: int = 0,
    topic: str = "execution.completed",
    timestamp: int | None = None,
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> Record:
    """A Kafka record in structured mode, or of raw bytes."""
    value = json.dumps(body).encode() if isinstance(body, dict) else body
    stamp = int(NOW.timestamp() * 1000) + offset if timestamp is None else timestamp
    return Record(topic, partition, offset, stamp, None, value, headers)


def row(offset: int = 0, **changes: Any) -> Row:
    """A ledger row of an accepted execution."""
    fields: dict[str, Any] = {
        "cluster": "c",
        "topic": "execution.completed",
        "partition": 0,
        "offset": offset,
        "timestamp": int(NOW.timestamp() * 1000) + offset,
        "size": 1,
        "digest": "d",
        "disposition": Disposition.ACCEPTED,
        "type": "execution.completed",
        "tenant": "default",
        "source": "urn:test",
        "id": f"event-{offset}",
        "event_time": NOW + timedelta(seconds=offset),
        "time_source": "event",
    }
    return Row(**{**fields, **changes})


def thumb(run: str, value: Any = 1, **changes: Any) -> dict[str, Any]:
    """`data` of a user's thumb on a run."""
    data = {
        "kind": "thumb",
        "author": "bob",
        "author_role": "user",
        "target": {"execution_id": run},
        "value": value,
    }
    return {**data, **changes}


def erasure(**subject: Any) -> dict[str, Any]:
    """`data` of an erasure of a subject."""
    return {"kind": "erasure", "author": "bob", "author_role": "user", "subject": subject}


def telemetry(**changes: Any) -> dict[str, Any]:
    """`data` of a sample of an agent's health."""
    data = {
        "agent_id": "agent",
        "sampled_at": NOW.isoformat(),
        "cpu_usage": 0.5,
        "values": {"q": 3},
    }
    return {**data, **changes}


def gateway(**changes: Any) -> dict[str, Any]:
    """`data` of a gateway's answer."""
    data = {"gateway_id": "g", "model": "m", "adapter": "m-abc", "state": "activated"}
    return {**data, **changes}


def binary(
    body: dict[str, Any], *, content_type: str = "application/json", offset: int = 0
) -> Record:
    """The Kafka record of a structured CloudEvent, written in binary mode."""
    attributes = {name: value for name, value in body.items() if name != "data"}
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in attributes.items())
    value = json.dumps(body.get("data")).encode()
    return record(value, offset=offset, headers=(("content-type", content_type.encode()), *headers))
