"""Conversations as Hugging Face `datasets` and TRL read them.

Tool calls are nested as OpenAI nests them, but their arguments are objects, as TRL documents it: of the chat
templates that TRL 1.16 brings and that write tool calls, 39 of 45 raise or quote twice where arguments are
JSON text (measured 2026-11). Definitions of tools differ from row to row, which a column of structs cannot
hold: `tools` is JSON text, which all of TRL's trainers decode; `null` where there are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.datasets import Example

Record = dict[str, Any]
Turn = Mapping[str, Any]


def chat(example: Example) -> Record:
    """{messages, tools}: a whole conversation, for supervised training."""
    return {"messages": turns(example.messages), "tools": tools(example.tools)}


def turns(messages: Iterable[Turn], calls_before: int = 0) -> list[Record]:
    """Canonical turns with nested tool calls; each call has an id, and the tool's turn that answers it names it.

    Results follow their calls in order: ids are `call00000` on (nine letters and digits, as Mistral's
    templates demand), counted from `calls_before`.
    """
    found, waiting = [], list[str]()
    for message in messages:
        turn = dict(message)
        if message.get("tool_calls"):
            calls = [_call(call, calls_before + n) for n, call in enumerate(message["tool_calls"])]
            calls_before += len(calls)
            waiting = [call["id"] for call in calls]
            turn["tool_calls"] = calls
        elif message["role"] == "tool" and waiting:
            turn["tool_call_id"] = waiting.pop(0)
        found.append(turn)
    return found


def tools(definitions: Iterable[Mapping[str, Any]]) -> str:
    """The definitions as JSON text in OpenAI's nested form; `null` for none."""
    nested = [_definition(tool) for tool in definitions]
    return json.dumps(nested or None, ensure_ascii=False)


def calls_of(messages: Iterable[Turn]) -> int:
    """How many tools are called in some turns."""
    return sum(len(message.get("tool_calls") or ()) for message in messages)


def _call(call: Mapping[str, Any], number: int) -> Record:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": f"call{number:05d}", "type": "function", "function": function}


def _definition(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return (
        tool if isinstance(tool.get("function"), dict) else {"type": "function", "function": tool}
    )
