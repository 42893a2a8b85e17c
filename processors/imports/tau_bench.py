"""`tau-bench`: trajectory files of the first tau-bench, one JSON list of {task_id, trial, reward, traj}.

One element is one execution.completed; (task_id, trial) is its key inside the file. Taken over are the
trajectory, the reward and who the user was; not the task's actions, outputs and instruction, nor the
reward's details: they are reference answers and the user simulator's script. The files name neither
the model nor times nor the agent's cost (`user_cost` is the simulator's), so these stay absent. The
domain is taken from the end of the file's name, as the published files have it: `…-airline.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from processors.imports.port import (
    Imported,
    Refused,
    Shape,
    document,
    execution,
    first_question,
    not_of,
    present,
    source_of,
    stem,
    why,
)
from processors.imports.users import acting_user
from schemas.chat import Message

NAME = "tau-bench"
_DOMAINS = ("airline", "retail")


class _Task(Shape):
    user_id: str | None = None


class _Info(Shape):
    task: _Task = _Task()


class _Run(Shape):
    task_id: int | str
    trial: int = 0
    reward: float
    traj: list[Message]
    info: _Info = _Info()


def tau_bench(name: str, lines: Iterable[bytes]) -> Iterator[Imported | Refused]:
    """See `Format`."""
    content = document(NAME, name, lines)
    if not isinstance(content, list):
        raise not_of(NAME, name, "no list of trajectories")
    domain = next((d for d in _DOMAINS if stem(name).endswith(f"-{d}")), None)
    for number, run in enumerate(content, 1):
        where = f"trajectory {number}"
        try:
            yield _event(source_of(NAME, name), _Run.model_validate(run), domain, where)
        except ValidationError as error:
            yield Refused(why(error), where)


def _event(source: str, run: _Run, domain: str | None, where: str) -> Imported:
    task = "/".join(str(part) for part in (NAME, domain, run.task_id) if part is not None)
    key = f"{run.task_id}/{run.trial}"
    data = present(
        execution_id=key,
        agent_id=f"{NAME}-{domain}" if domain else NAME,
        task=present(prompt=first_question(run.traj), id=task, domain=domain),
        messages=[_message(turn) for turn in run.traj],
        outcome={
            "status": "success" if run.reward >= 1 else "failure",
            "score": min(max(run.reward, 0.0), 1.0),
        },
        user_id=run.info.task.user_id or acting_user(run.traj),
        labels={"trial": str(run.trial)},
    )
    return execution(data, source=source, where=where, time=None)


def _message(turn: Message) -> dict[str, Any]:
    return turn.model_dump(
        mode="json",
        exclude_none=True,
        include={"role", "content", "tool_calls", "tool_call_id", "name"},
    )
