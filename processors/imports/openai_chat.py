"""`openai-chat`: JSON lines, one conversation in OpenAI's chat form with its outcome a line.

    {"messages": [...], "outcome": "success", "id": "…", "model": "…", "tools": [...], …}

| field | meaning |
|---|---|
| `messages` | required: `role`, `content`, `tool_calls` (nested as OpenAI has them, or flat `name` and `arguments`), `tool_call_id`, `name`, `error` |
| `outcome` | required: success, failure, partial, timeout, cancelled or error; or an object {`status`, `score` 0–1, `answer`, `error_code`, `error_message`, `gates`} |
| `id` | the run's id, unique in the file; without it the content's digest is the id |
| `tools` | tool definitions as the model saw them |
| `model` | a name, or an object {`name`, `base_digest`, `adapter`, …} |
| `time` | when it ended: ISO 8601, or seconds since 1970; without a zone it is read as UTC and labelled so |
| `task` | the task's id, or an object {`id`, `type`, `domain`, `difficulty`}; its prompt is the first user turn |
| `domain` | short for `task.domain` |
| `agent_id` | without it the file's name |
| `session_id`, `user_id`, `tenant_id`, `trust`, `origin`, `confidence`, `metrics`, `sampling`, `plan_id`, `labels` | as in execution.completed |
| `metadata` | a map; becomes labels |

Other fields are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import Field, ValidationError

from processors.imports.port import (
    Imported,
    Refused,
    Shape,
    Unusable,
    execution,
    first_question,
    instant,
    present,
    source_of,
    stem,
    why,
)
from schemas.chat import Message
from schemas.digests import digest_of
from schemas.executions import Outcome, Status

NAME = "openai-chat"
_CARRIED = (
    "tools", "session_id", "user_id", "tenant_id", "trust", "origin", "confidence", "metrics",
    "sampling", "plan_id",
)  # fmt: skip


class _Task(Shape):
    id: str | None = None
    type: str | None = None
    domain: str | None = None
    difficulty: float | None = None


class _Line(Shape):
    messages: list[Message] = Field(min_length=1)
    outcome: Status | Outcome
    id: str | int | None = None
    model: str | dict[str, Any] | None = None
    time: Any = None
    task: str | _Task | None = None
    domain: str | None = None
    agent_id: str | None = None
    labels: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


def openai_chat(name: str, lines: Iterable[bytes]) -> Iterator[Imported | Refused]:
    """See `Format`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            raw = json.loads(line)
            yield _event(name, raw, _Line.model_validate(raw), where)
        except (Unusable, ValidationError) as error:
            yield Refused(why(error), where)
        except (ValueError, RecursionError) as error:
            yield Refused(f"not JSON: {error}", where)


def _event(name: str, raw: dict[str, Any], line: _Line, where: str) -> Imported:
    source = source_of(NAME, name)
    key = digest_of(raw) if line.id is None else str(line.id)
    time, marks = instant(line.time)
    task = line.task if isinstance(line.task, _Task) else _Task(id=line.task)
    data = present(
        execution_id=key,
        agent_id=line.agent_id or stem(name),
        task=present(
            prompt=first_question(line.messages),
            **task.model_dump(exclude={"domain"}),
            domain=task.domain or line.domain,
        ),
        messages=[turn.model_dump(mode="json", exclude_none=True) for turn in line.messages],
        outcome=_outcome(line),
        model={"name": line.model} if isinstance(line.model, str) else line.model,
        ended_at=time.isoformat() if time else None,
        labels=_labels(line.metadata) | _labels(line.labels) | marks,
        **{field: raw.get(field) for field in _CARRIED},
    )
    return execution(data, source=source, where=where, time=time)


def _outcome(line: _Line) -> dict[str, Any]:
    if isinstance(line.outcome, str):
        return {"status": line.outcome}
    return line.outcome.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _labels(values: dict[str, Any]) -> dict[str, str]:
    """Labels are strings; anything else is written as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in values.items()
        if value is not None
    }
