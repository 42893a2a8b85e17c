"""Examples as Stanford Alpaca wrote them: instruction, input, output, all texts."""

from __future__ import annotations

from processors.curation.formats.chat import Record
from schemas.datasets import Example

SEVERAL_TURNS, TOOL_CALLS = "several_turns", "tool_calls"


def alpaca(example: Example) -> Record | str:
    """One question and its answer; or why the example cannot be said so.

    With a system prompt that is the instruction, and the question its input; else the question is the
    instruction. A conversation of several turns and an answer that calls tools have no place in the format: they
    are left out (`several_turns`, `tool_calls`) and not cut to something that nobody said.
    """
    *system, question, answer = [dict(message) for message in example.messages]
    if answer.get("tool_calls"):
        return TOOL_CALLS
    roles = [turn["role"] for turn in (*system, question, answer)]
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        return SEVERAL_TURNS
    asked = str(question["content"])
    instruction, given = (str(system[0]["content"]), asked) if system else (asked, "")
    return {"instruction": instruction, "input": given, "output": str(answer["content"])}
