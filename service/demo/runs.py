"""A session's run as events, and the ways in which records go wrong."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from producers.encode import message
from producers.port import Outgoing, Raw
from schemas.events import EXECUTION, FEEDBACK, PLAN
from service.demo.world import Task

SOURCE = "urn:demo:support-desk"
AGENT = "support-agent"


@dataclass(frozen=True, slots=True)
class Run:
    """What one session came to, and its events."""

    model: str
    session: str
    task: Task
    tools: list[dict[str, Any]]
    turn: dict[str, Any]
    results: list[dict[str, Any]]
    served: dict[str, Any]
    started: datetime

    def plan(self, calls: Sequence[dict[str, Any]]) -> Outgoing:
        """planning.completed: the calls that the model wants, one after the other."""
        known = {tool["function"]["name"] for tool in self.tools}
        steps = [
            {
                "id": str(number),
                "tool": call["name"],
                "arguments": call["arguments"] if isinstance(call["arguments"], dict) else {},
                "depends_on": [str(number - 1)] if number else [],
            }
            for number, call in enumerate(calls)
        ]
        data = {
            **self._common(),
            "plan_id": f"plan-{self.session}",
            "goal": self.task.prompt,
            "steps": steps,
            "valid": bool(calls) and all(call["name"] in known for call in calls),
            "validator": "desk",
        }
        return event(PLAN, self.session, data)

    def execution(self, answer: dict[str, Any], *, solved: bool) -> Outgoing:
        """execution.completed: what was asked, answered and reached."""
        ended = datetime.now(UTC)
        data = {
            **self._common(),
            "execution_id": f"run-{self.session}",
            "plan_id": f"plan-{self.session}",
            "task": {"prompt": self.task.prompt, "type": "tool_call", "domain": "support"},
            "messages": [
                {"role": "user", "content": self.task.prompt},
                answer["choices"][0]["message"],
                *self.results,
            ],
            "outcome": {
                "status": "success" if solved else "failure",
                "gates": [
                    {"name": "valid_answer", "passed": "tool_calls" in self.turn},
                    {"name": "goal_reached", "passed": solved},
                ],
            },
            "confidence": 0.9,
            "metrics": {
                "duration_ms": (ended - self.started).total_seconds() * 1000,
                "input_tokens": answer["usage"]["prompt_tokens"],
                "output_tokens": answer["usage"]["completion_tokens"],
            },
            "started_at": self.started.isoformat(),
            "ended_at": ended.isoformat(),
        }
        return event(EXECUTION, self.session, data)

    def _common(self) -> dict[str, Any]:
        """Fields of both kinds of run: who, with which tools, by which weights."""
        return {
            "agent_id": AGENT,
            "session_id": self.session,
            "user_id": f"customer-{self.session[:8]}",
            "tools": self.tools,
            "origin": "ai",
            "model": {"name": self.model, **self.served},
        }


def edit(session: str, author: str, role: str, calls: Sequence[dict[str, Any]]) -> Outgoing:
    """feedback.received: what the calls of a session should have been."""
    data = {
        "kind": "edit",
        "author": author,
        "author_role": role,
        "target": {"execution_id": f"run-{session}", "source": SOURCE},
        "messages": [{"role": "assistant", "content": None, "tool_calls": list(calls)}],
    }
    return event(FEEDBACK, session, data)


def event(kind: str, key: str, data: dict[str, Any]) -> Outgoing:
    """An event of the desk, now."""
    return Outgoing(
        topic=kind,
        key=key,
        id=str(uuid.uuid4()),
        source=SOURCE,
        type=kind,
        time=datetime.now(UTC),
        data=data,
    )


def malformed(sound: Outgoing, random: Random) -> Raw:
    """One of the ways in which records go wrong."""
    value, headers = message(dataclasses.replace(sound, id=str(uuid.uuid4())))
    kind = random.randrange(4)
    if kind == 0:
        value = value[: len(value) // 2]
    elif kind == 1:
        headers = [(name, data) for name, data in headers if name != "ce_id"]
    elif kind == 2:  # noqa: PLR2004 - the third way
        value = json.dumps({**json.loads(value), "confidence": 70}).encode()
    else:
        headers = [(n, b"invoice.paid" if n == "ce_type" else data) for n, data in headers]
    return Raw(topic=sound.topic, key=sound.key.encode(), value=value, headers=headers)
