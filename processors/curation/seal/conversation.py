"""The conversation that a row holds, up to the answer to learn, with a person's edit in its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

from schemas.chat import first_answer

Turn = dict[str, Any]


def conversation(
    content: Mapping[str, Any], edit: Mapping[str, Any] | None = None
) -> list[Turn] | None:
    """The turns up to the last answer; None if nothing is asked, or nothing answered.

    `content` is a row's text: an execution's messages, or a plan's goal and steps, which become what was
    asked and what was answered. `edit` replaces everything from the first answer on, unless it brings the
    whole conversation itself (its first turn is not an assistant's).
    """
    turns = _plan(content) if "goal" in content else list(content.get("messages") or ())
    if edit is not None:
        new = edit.get("messages") or [{"role": "assistant", "content": _text(edit.get("answer"))}]
        asked = turns[: first_answer(turns)] if new[0]["role"] == "assistant" else []
        turns = [*asked, *new]
    if not 0 < first_answer(turns) < len(turns):
        return None
    last = max(place for place, turn in enumerate(turns) if turn["role"] == "assistant")
    return turns[: last + 1]


def _plan(content: Mapping[str, Any]) -> list[Turn]:
    steps = content.get("steps")
    answer = [{"role": "assistant", "content": _text({"steps": steps})}] if steps else []
    return [{"role": "user", "content": content["goal"]}, *answer]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def asked(turns: Sequence[Turn]) -> str:
    """What the user said before the first answer, folded.

    Not the system prompt: all runs of an agent share it, and a long one would make them all look alike. It
    is what was asked only where no user spoke.
    """
    before = turns[: first_answer(turns)]
    said = [turn for turn in before if turn["role"] == "user"] or before
    return fold(" ".join(str(turn["content"]) for turn in said))


def fold(text: str) -> str:
    """White space folded, lower case, compatible forms of a character as one (Unicode's NFKC): texts that
    are equal then are exact duplicates.
    """
    if not text.isascii():
        text = normalize("NFKC", text)
    return " ".join(text.lower().split())
