"""Whose trace is it? Benchmarks of the tau family say so only inside the tool calls."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from schemas.chat import Message

_FIELD = "user_id"
_FINDERS = "find_user_id"


def acting_user(messages: Sequence[Message]) -> str | None:
    """The id that most calls were made for; else the one that most results name; else None.

    One person appears under several task ids; this keeps the traces of one person together.
    """
    calls = [call for message in messages for call in message.tool_calls or ()]
    asked = Counter(
        str(call.arguments[_FIELD])
        for call in calls
        if isinstance(call.arguments, dict) and call.arguments.get(_FIELD)
    )
    if asked:
        return _most(asked)
    finders = {call.id for call in calls if call.id and call.name.startswith(_FINDERS)}
    results = [message for message in messages if message.role == "tool" and not message.error]
    return _most(
        Counter(filter(None, (_named(m, found=m.tool_call_id in finders) for m in results)))
    )


def _most(names: Counter[str]) -> str | None:
    """The most frequent name; of equals the first in the alphabet."""
    return min(names, key=lambda name: (-names[name], name), default=None)


def _named(result: Message, *, found: bool) -> str | None:
    text = result.text()
    try:
        value: Any = json.loads(text)
    except ValueError:
        return text.strip() if found else None
    named = value.get(_FIELD) if isinstance(value, dict) else None
    return str(named) if named else None
