"""A run's answer as a person mends it: out as text, back in as the feedback that replaces it.

A single answer in words is edited as words. Anything else (tool calls, several turns, the steps of a plan)
is JSON: the list of turns from the first answer on, or `{"steps": […]}`. What an edit replaces is in
`processors.curation.seal.conversation`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from processors.curation.seal.conversation import Turn, conversation
from schemas.chat import Message, first_answer
from schemas.executions import PlanData

Answer = dict[str, Any]
"""`{"messages": […]}` or `{"answer": …}`, as in the data of an edit."""
_TURNS = TypeAdapter(list[Message])
_KNOWN = frozenset(Message.model_fields)


class Draft(NamedTuple):
    """An answer to edit; `suffix` is `.txt` for words and `.json` for JSON."""

    text: str
    suffix: str


def draft(content: Mapping[str, Any]) -> Draft:
    """The answer that a row's content holds; empty words where it has none."""
    if "goal" in content:
        return Draft(_pretty({"steps": content.get("steps") or []}), ".json")
    turns = given(content)
    if not turns:
        return Draft("", ".txt")
    if len(turns) == 1 and not turns[0].get("tool_calls"):
        return Draft(str(turns[0]["content"]), ".txt")
    return Draft(_pretty(turns), ".json")


def given(content: Mapping[str, Any]) -> list[Turn]:
    """The turns from the first answer on, up to the last one; none where nothing is answered."""
    turns = conversation(content) or []
    return turns[first_answer(turns) :]


def parsed(text: str, content: Mapping[str, Any], *, words: bool) -> Answer:
    """What an edited draft says. Raises ValueError, in one line, for what cannot be an answer.

    `words`: the text itself is the answer.
    """
    return checked(text if words else _json(text), content)


def checked(value: Any, content: Mapping[str, Any]) -> Answer:
    """Words, turns or steps as the answer to what a row asks. Raises ValueError as `parsed` does."""
    if "goal" in content:
        return {"answer": _steps(value, _names(content))}
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("the answer is empty")
        return {"messages": [{"role": "assistant", "content": value.strip("\n")}]}
    turns = _turns([value] if isinstance(value, Mapping) else value)
    for number, turn in enumerate(turns, 1):
        _check_turn(number, turn, _names(content))
    if {turns[0]["role"], turns[-1]["role"]} != {"assistant"}:
        raise ValueError("an answer begins and ends with a turn of the assistant")
    return {"messages": turns}


def shown(answer: Answer, content: Mapping[str, Any]) -> str:
    """An answer in the form of the draft that it replaces, to be compared with it."""
    if "answer" in answer:
        return _pretty(answer["answer"])
    words = draft(content).suffix == ".txt" and len(answer["messages"]) == 1
    if words and not answer["messages"][0].get("tool_calls"):
        return str(answer["messages"][0]["content"])
    return _pretty(answer["messages"])


def _turns(value: Any) -> list[Turn]:
    if not isinstance(value, list) or not value:
        raise ValueError("an answer is a list of turns, with one at least")
    for number, turn in enumerate(value, 1):
        strange = sorted(turn.keys() - _KNOWN) if isinstance(turn, Mapping) else []
        if strange:
            raise ValueError(f"turn {number}: {strange[0]!r} is no field of a turn")
    try:
        return [turn.canonical() for turn in _TURNS.validate_python(value)]
    except ValidationError as error:
        raise ValueError(_first(error, "turn")) from None


def _check_turn(number: int, turn: Turn, tools: frozenset[str]) -> None:
    calls = turn.get("tool_calls") or ()
    if turn["role"] == "assistant" and not calls and not turn["content"].strip():
        raise ValueError(f"turn {number}: neither words nor a tool call")
    for call in calls:
        if not isinstance(call["arguments"], dict):
            raise ValueError(  # noqa: TRY004 - a value of a text
                f"turn {number}: the arguments of {call['name']} are no JSON object"
            )
        if tools and call["name"] not in tools:
            defined = ", ".join(sorted(tools))
            raise ValueError(
                f"turn {number}: no tool is called {call['name']!r}; defined: {defined}"
            )


def _steps(value: Any, tools: frozenset[str]) -> dict[str, Any]:
    steps = value.get("steps") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(steps, list) or not steps:
        raise ValueError('the answer to a goal is {"steps": […]}, with one at least')
    try:
        plan = PlanData(plan_id="-", agent_id="-", goal="-", steps=steps)
    except ValidationError as error:
        raise ValueError(_first(error, "step")) from None
    for number, step in enumerate(plan.steps, 1):
        strange = sorted((step.model_extra or {}).keys())
        if strange:
            raise ValueError(f"step {number}: {strange[0]!r} is no field of a step")
        if tools and step.tool is not None and step.tool not in tools:
            raise ValueError(f"step {number}: no tool is called {step.tool!r}")
    return {"steps": [step.model_dump(mode="json", exclude_none=True) for step in plan.steps]}


def _names(content: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(map(_name, content.get("tools") or ()))


def _name(tool: Mapping[str, Any]) -> str:
    inner = tool.get("function")
    return str((inner if isinstance(inner, dict) else tool).get("name"))


def _json(text: str) -> Any:
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from None


def _first(error: ValidationError, what: str) -> str:
    """The first thing that is wrong, such as `turn 2: role: Field required`."""
    found = error.errors(include_url=False)[0]
    place = [part for part in found["loc"] if part != "steps"]
    where = (
        [f"{what} {place[0] + 1}" if isinstance(place[0], int) else str(place[0])] if place else []
    )
    return ": ".join([*where, *map(str, place[1:]), str(found["msg"])])


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
