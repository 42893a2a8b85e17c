"""Chat messages in one canonical form.

Two shapes of tool call are read: OpenAI's nested one (`function.arguments` is a JSON string) and the
flat one (`name`, `arguments`). One form is kept: flat, with the arguments as an object wherever they
parse as one, and as the original text where they do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import from_json

T = TypeVar("T")
Items = Annotated[list[T], Field(fail_fast=True)]
"""A list that is refused at its first bad item, so that no event fills the memory with errors."""


class Frozen(BaseModel):
    """Base of all event types: immutable, unknown fields kept, no NaN."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


def parse_arguments(value: Any) -> Any:
    """An object wherever the text is one, else the value as it is; {} for None."""
    if not isinstance(value, str):
        return {} if value is None else value
    try:
        parsed = _json(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, dict) else value


def _json(text: str) -> Any:
    """JSON as the standard has it. Raises ValueError for NaN, lone surrogates and deep nesting too.

    `json.loads` takes the first two and ends in RecursionError on the third.
    """
    return from_json(text, allow_inf_nan=False)


class ToolCall(Frozen):
    """A call that the model asked for."""

    name: str
    arguments: Annotated[dict[str, Any] | str, BeforeValidator(parse_arguments)] = {}
    id: str | None = None


def _flatten(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        call = value["function"]
        return {"id": value.get("id"), "name": call.get("name"), "arguments": call.get("arguments")}
    return value


class Message(Frozen):
    """One turn: `role` is system, user, assistant or tool (open set)."""

    role: str
    content: str | list[Any] | None = None
    tool_calls: Items[Annotated[ToolCall, BeforeValidator(_flatten)]] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    error: bool | None = None
    started_at: AwareDatetime | None = None
    duration_ms: float | None = Field(default=None, ge=0)
    cost_usd: float | None = Field(default=None, ge=0)
    input_tokens: int | None = Field(default=None, ge=0)
    output_tokens: int | None = Field(default=None, ge=0)
    reward: float | None = None

    def text(self) -> str:
        """The content as plain text: parts joined, non-text parts left out."""
        return plain_text(self.content)

    def canonical(self) -> dict[str, Any]:
        """What training and serving both see of this turn, and nothing else."""
        turn: dict[str, Any] = {"role": self.role, "content": self.text()}
        if self.tool_calls:
            turn["tool_calls"] = [
                {"name": call.name, "arguments": call.arguments} for call in self.tool_calls
            ]
        if self.name:
            turn["name"] = self.name
        return turn


def plain_text(content: str | list[Any] | None) -> str:
    """A turn's content as plain text: parts joined, non-text parts left out."""
    if isinstance(content, str):
        return content
    parts = content or []
    return "\n".join(
        str(p.get("text", "")) for p in parts if isinstance(p, dict) and p.get("type") == "text"
    )


def first_answer(turns: Sequence[Mapping[str, Any]]) -> int:
    """Where the answering begins: the first assistant turn after the first user turn.

    A greeting before anybody asked is no answer. Without a user turn it is the first assistant turn;
    without an answer the number of turns.
    """
    roles = [turn["role"] for turn in turns]
    asked = roles.index("user") if "user" in roles else 0
    return roles.index("assistant", asked) if "assistant" in roles[asked:] else len(roles)


def template_turn(turn: dict[str, Any]) -> dict[str, Any]:
    """A canonical turn in the shape that Hugging Face chat templates read (nested tool calls)."""
    if not turn.get("tool_calls"):
        return turn
    calls = [
        {"type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
        for c in turn["tool_calls"]
    ]
    return {**turn, "tool_calls": calls}


def answer_text(turn: dict[str, Any]) -> str:
    """An assistant turn as the text a model writes: one JSON object a line for tool calls.

    `turn` is a canonical message. Key order inside arguments is kept: it is what was served.
    """
    calls = turn.get("tool_calls")
    if not calls:
        return str(turn.get("content") or "")
    return "\n".join(
        json.dumps({"name": c["name"], "arguments": c["arguments"]}, ensure_ascii=False)
        for c in calls
    )


def parse_answer(text: str) -> dict[str, Any]:
    """The inverse of `answer_text`: a canonical assistant turn, tool calls if every line is one."""
    calls = [_call(line) for line in map(str.strip, text.split("\n")) if line]
    if not calls or None in calls:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": "", "tool_calls": calls}


def _call(line: str) -> dict[str, Any] | None:
    """The tool call that a line is; None if it is none."""
    try:
        found = _json(line)
    except ValueError:
        return None
    if not (isinstance(found, dict) and isinstance(found.get("name"), str)):
        return None
    arguments = {} if found.get("arguments") is None else found["arguments"]
    known = isinstance(arguments, (dict, str))
    return {"name": found["name"], "arguments": arguments} if known else None
