"""Rows and seals of a handful of runs, for rules that are read one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pyarrow as pa

from schemas.datasets import Example, Recipe
from schemas.rows import Row
from tests.sealing import Sealed, seal
from tests.sealing import decided as decide_rows
from tests.support import NOW, TOOLS, call, row

FEEDBACK = "feedback.received"
OFFSETS = {"c:execution.completed:0": 1_000, "c:execution.completed:1": 1_000}
OFFSETS |= {f"c:{FEEDBACK}:{partition}": 1_000 for partition in range(2)}


def prompt(number: int) -> str:
    """A prompt that resembles no other number's."""
    return " ".join(f"word{number}x{place}" for place in range(12))


def user(text: str) -> dict[str, Any]:
    """A user's turn."""
    return {"role": "user", "content": text}


def answer(*calls: dict[str, Any], content: str = "") -> dict[str, Any]:
    """An assistant's canonical turn."""
    turn: dict[str, Any] = {"role": "assistant", "content": content}
    return {**turn, "tool_calls": list(calls)} if calls else turn


def run(number: int, *turns: dict[str, Any], tools: Any = TOOLS, **changes: Any) -> Row:
    """An accepted run whose prompt and task are its own."""
    held = turns or (user(prompt(number)), answer(call(n=number)))
    facts: dict[str, Any] = {
        "id": f"event-{number}",
        "run_id": f"run-{number}",
        "task": f"task-{number}",
        "prompt_digest": f"prompt-{number}",
        "tools_digest": "tools",
        "agent": "agent",
        "trust": "internal",
        "quality": 90.0,
        "event_time": NOW,
        "content": json.dumps({"messages": list(held), "tools": tools}),
    }
    return row(number, **{**facts, **changes})


def said(offset: int, number: int, kind: str = "thumb", **changes: Any) -> Row:
    """Accepted feedback on a run; by default a thumb of one user."""
    facts: dict[str, Any] = {
        "topic": FEEDBACK,
        "type": FEEDBACK,
        "id": f"said-{offset}",
        "target_run": f"run-{number}",
        "author": "bob",
        "author_role": "user",
        "feedback": kind,
        "trust": "internal",
        "event_time": NOW + timedelta(minutes=offset),
    }
    return row(offset, **{**facts, **changes})


def edited(offset: int, number: int, text: str, role: str = "expert", **changes: Any) -> Row:
    """An edit that brings one answer."""
    content = json.dumps({"messages": [answer(content=text)]})
    facts = {"author": role, "author_role": role, "content": content}
    return said(offset, number, "edit", **{**facts, **changes})


def decided(offset: int, number: int, word: str, **changes: Any) -> Row:
    """A reviewer's decision."""
    facts = {"status": word, "author_role": "reviewer"}
    return said(offset, number, "decision", **{**facts, **changes})


def forget(offset: int, tenant: str = "default", **subject: Any) -> Row:
    """An erasure."""
    return said(offset, 0, "erasure", target_run=None, tenant=tenant, subject=json.dumps(subject))


def similarity(left: str, right: str) -> float:
    """Jaccard of word 3-grams, written down once more."""
    parts = [text.split() for text in (left, right)]
    grams = [{tuple(words[i : i + 3]) for i in range(max(len(words) - 2, 1))} for words in parts]
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


def sealed(rows: Iterable[Row], **recipe: Any) -> Sealed:
    """The dataset of a few rows."""
    return seal(rows, Recipe(**recipe), OFFSETS)


def facts_of(rows: Iterable[Row]) -> pa.Table:
    """What the survey of a few rows gives."""
    return decide_rows(rows, Recipe(), OFFSETS).facts


def names(found: Sealed) -> list[int]:
    """The numbers of the runs that were sealed, in the order of the dataset."""
    return [int(example.row_id.rpartition(":")[2]) for example in found.examples]


def only(rows: Iterable[Row], **recipe: Any) -> Example:
    """The one example of a dataset."""
    (example,) = sealed(rows, **recipe).examples
    return example


def changed(found: Row, **changes: Any) -> Row:
    """The row with other facts."""
    return found._replace(**changes)
