"""`tau2`: result files of the tau2 benchmark, one JSON object {info, tasks, simulations}.

One simulation is one execution.completed. Not taken over, whatever they hold: `tasks` and
`reward_info` beyond the figures of the reward, since they contain the reference answers; `raw_data`,
which doubles the text; what the user did with tools of their own, which the agent never saw. A cost of
0 means that no price was known. Times have no zone: they are read as UTC and labelled so. There is no
system prompt in these files, so none is made up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from processors.imports.port import (
    Imported,
    Refused,
    Shape,
    Unusable,
    document,
    execution,
    first_question,
    instant,
    not_of,
    present,
    source_of,
    why,
)
from processors.imports.users import acting_user
from schemas.chat import Message, ToolCall

NAME = "tau2"
_ENDED = {"max_steps": "timeout"}
_REGULAR = ("user_stop", "agent_stop")


class _Usage(Shape):
    prompt_tokens: int
    completion_tokens: int


class _Turn(Shape):
    role: str
    content: str | list[Any] | None = None
    tool_calls: list[ToolCall] | None = None
    id: str | None = None
    requestor: str | None = None
    error: bool | None = None
    cost: float | None = None
    usage: _Usage | None = None

    @property
    def of_the_user(self) -> bool:
        """Whether it is the user's business with tools of their own."""
        called = self.role == "user" and bool(self.tool_calls)
        return called or (self.role == "tool" and self.requestor == "user")


class _Reward(Shape):
    reward: float | None = None
    reward_breakdown: dict[str, float] | None = None


class _Run(Shape):
    id: str
    messages: list[_Turn]
    task_id: str | int | None = None
    trial: int | None = None
    start_time: Any = None
    end_time: Any = None
    duration: float | None = None
    agent_cost: float | None = None
    termination_reason: str = ""
    reward_info: _Reward | None = None


class _Agent(Shape):
    llm: str | None = None
    llm_args: dict[str, Any] | None = None


class _Environment(Shape):
    domain_name: str | None = None
    tool_defs: list[dict[str, Any]] | None = None


class _Info(Shape):
    agent_info: _Agent = _Agent()
    environment_info: _Environment = _Environment()


def tau2(name: str, lines: Iterable[bytes]) -> Iterator[Imported | Refused]:
    """See `Format`."""
    content = document(NAME, name, lines)
    if not isinstance(content, dict) or not isinstance(content.get("simulations"), list):
        raise not_of(NAME, name, "no object with `info` and `simulations`")
    try:
        info = _Info.model_validate(content.get("info") or {})
    except ValidationError as error:
        raise not_of(NAME, name, f"info.{why(error)}") from None
    for number, run in enumerate(content["simulations"], 1):
        where = f"simulation {number}"
        try:
            yield _event(source_of(NAME, name), _Run.model_validate(run), info, where)
        except (Unusable, ValidationError) as error:
            yield Refused(why(error), where)


def _event(source: str, run: _Run, info: _Info, where: str) -> Imported:
    domain = info.environment_info.domain_name
    task = "/".join(str(part) for part in (NAME, domain, run.task_id) if part is not None)
    started, _ = instant(run.start_time)
    ended, marks = instant(run.end_time)
    seen = [_message(turn) for turn in run.messages if not turn.of_the_user]
    messages = [Message.model_validate(turn) for turn in seen]
    data = present(
        execution_id=run.id,
        agent_id=f"{NAME}-{domain}" if domain else NAME,
        task=present(prompt=first_question(messages), id=task, domain=domain),
        messages=seen,
        tools=info.environment_info.tool_defs,
        sampling=info.agent_info.llm_args,
        outcome=_outcome(run),
        model=present(name=info.agent_info.llm),
        metrics=_metrics(run),
        user_id=acting_user(messages),
        started_at=started.isoformat() if started else None,
        ended_at=ended.isoformat() if ended else None,
        labels=marks | _labels(run),
    )
    return execution(data, source=source, where=where, time=ended)


def _message(turn: _Turn) -> dict[str, Any]:
    return present(
        role=turn.role,
        content=turn.content,
        tool_calls=[
            call.model_dump(include={"id", "name", "arguments"}) for call in turn.tool_calls or ()
        ],
        tool_call_id=turn.id if turn.role == "tool" else None,
        error=turn.error,
        cost_usd=turn.cost or None,
        input_tokens=turn.usage.prompt_tokens if turn.usage else None,
        output_tokens=turn.usage.completion_tokens if turn.usage else None,
    )


def _outcome(run: _Run) -> dict[str, Any]:
    """The reward decides; a run that was broken off unjudged ended as it ended."""
    judged, ended = run.reward_info or _Reward(), run.termination_reason
    irregular = ended if ended not in ("", *_REGULAR) else None
    if judged.reward is None:
        if irregular is None:
            raise Unusable("neither a reward nor a reason why it ended early")
        return {"status": _ENDED.get(irregular, "error"), "error_code": irregular}
    breakdown = judged.reward_breakdown or {}
    return present(
        status="success" if judged.reward >= 1 else "failure",
        score=min(max(judged.reward, 0.0), 1.0),
        gates=[{"name": n.lower(), "passed": value >= 1} for n, value in breakdown.items()],
        error_code=irregular,
    )


def _metrics(run: _Run) -> dict[str, Any]:
    """Milliseconds, dollars, tokens; tokens only where all answers of the model say theirs."""
    answers = [turn for turn in run.messages[1:] if turn.role == "assistant"]
    usage = [turn.usage for turn in answers if turn.usage is not None]
    complete = bool(usage) and len(usage) == len(answers)
    return present(
        duration_ms=None if run.duration is None else 1000 * run.duration,
        cost_usd=run.agent_cost or None,
        input_tokens=sum(one.prompt_tokens for one in usage) if complete else None,
        output_tokens=sum(one.completion_tokens for one in usage) if complete else None,
    )


def _labels(run: _Run) -> dict[str, str]:
    trial = None if run.trial is None else str(run.trial)
    return present(trial=trial, termination_reason=run.termination_reason or None)
