"""Chosen rows with their texts as examples, sides of pairs, and golden cases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from processors.curation.seal.conversation import Turn, conversation
from schemas.chat import first_answer
from schemas.datasets import Example, GoldenCase, Split
from schemas.rows import Row

CORRECTION, RUN = "correction", "run"
Facts = Mapping[str, Any]


def turns_of(content: str, edit: str | None) -> list[Turn]:
    """The conversation to learn from a row's text and the text of the edit that mends it.

    Raises ValueError where there is none: the survey would not have offered the row.
    """
    turns = conversation(json.loads(content), json.loads(edit) if edit else None)
    if turns is None:
        raise ValueError("the row has no answer")
    return turns


def tools_of(content: str) -> list[dict[str, Any]]:
    """The definitions of the tools that a row names."""
    return json.loads(content).get("tools") or []


def example(facts: Facts, content: str, edit: str | None) -> Example:
    """The example of a row; `facts` has its columns and what was decided (see `decided_facts`)."""
    return Example(
        row_id=facts["row_id"],
        label_row=facts["label"],
        split=Split(facts["split"]),
        weight=facts["weight"],
        messages=tuple(turns_of(content, edit)),
        tools=tuple(tools_of(content)),
        prompt_digest=facts["prompt_digest"] or "",
        task=facts["task"] or facts["row_id"],
        session=facts["session"],
        user=facts["user"],
        domain=facts["domain"],
        task_type=facts["task_type"],
        level=facts["level"],
        kind=facts["kind"],
        source=facts["source"],
        origin=facts["origin"],
        trust=facts["trust"],
        adapter_digest=facts["adapter_digest"],
        score=facts["score"],
        quality=facts["quality"],
        confidence=facts["confidence"],
        diversity=facts["diversity"],
        informativeness=facts["informativeness"],
        cluster=facts["cluster"],
    )


def golden_case(facts: Facts, content: str, edit: Row | None) -> GoldenCase:
    """A row's prompt as a case, its one answer as what is right; `edit` is the feedback that mends it."""
    turns = turns_of(content, edit.content if edit else None)
    return GoldenCase(
        case_id=facts["row_id"],
        task=facts["task"] or facts["row_id"],
        prompt_digest=facts["prompt_digest"] or "",
        session=facts["session"],
        user=facts["user"],
        source=facts["source"],
        label_row=edit.row_id if edit else None,
        label_source=edit.source if edit else None,
        label_user=edit.user if edit else None,
        messages=turns[:-1],
        tools=tools_of(content),
        expected=turns[-1],
        grader="tool_call" if turns[-1].get("tool_calls") else "exact",
    )


def answered(turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """What was asked, and the turns from the first answer on."""
    border = first_answer(turns)
    return turns[:border], turns[border:]
