"""The text by which a run's domain is told: what its users said, and which tools were called for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.chat import first_answer


def domain_text(content: Mapping[str, Any]) -> str:
    """The text of a row's `content`: an execution's conversation or a plan's goal.

    The names of the called tools come first, so that a long conversation does not crowd them out, then
    the users' turns. Where no user spoke it is what stands before the first answer. Reference answers
    (`reference`), tool results and what the model wrote never enter.
    """
    turns: Sequence[Mapping[str, Any]] = content.get("messages") or ()
    said = [turn for turn in turns if turn["role"] == "user"] or turns[: first_answer(turns)]
    called = {str(call["name"]) for turn in turns for call in turn.get("tool_calls") or ()}
    called |= {str(step["tool"]) for step in content.get("steps") or () if step.get("tool")}
    words = [str(turn.get("content") or "") for turn in said]
    return "\n".join([*sorted(called), *words, str(content.get("goal") or "")]).strip()
