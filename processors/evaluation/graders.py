"""Graders: is this answer right? Standard library only, so that training can use them as well.

A grader takes the expected and the actual assistant turn (canonical chat form) and says yes or no.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Turn = Mapping[str, Any]
Grader = Callable[[Turn, Turn], bool]
GRADERS = ("exact", "tool_call", "regex")
"""The names that `grader` knows."""


def exact(expected: Turn, actual: Turn) -> bool:
    """The same text and the same calls, character for character."""
    same_text = _text(expected) == _text(actual)
    return same_text and json.dumps(_calls(expected)) == json.dumps(_calls(actual))


def tool_call(expected: Turn, actual: Turn) -> bool:
    """The same calls in the same order with equal arguments; argument order does not matter.

    Numbers and their decimal text are equal (3 and "3"), since models write either. Without an
    expected call the answer must not call anything either.
    """
    wanted, got = _calls(expected), _calls(actual)
    return len(wanted) == len(got) and all(map(_same_call, wanted, got))


def pattern(expression: str) -> Grader:
    """A grader that searches the answer's text for a regular expression."""
    compiled = re.compile(expression)
    return lambda _expected, actual: compiled.search(_text(actual)) is not None


def grader(name: str, expression: str | None = None) -> Grader:
    """The grader of that name: `exact`, `tool_call` or `regex`. Raises KeyError for others."""
    if name == "regex":
        return pattern(expression or "")
    return {"exact": exact, "tool_call": tool_call}[name]


def _text(turn: Turn) -> str:
    return str(turn.get("content") or "")


def _calls(turn: Turn) -> list[Mapping[str, Any]]:
    return list(turn.get("tool_calls") or ())


def _same_call(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    return wanted.get("name") == got.get("name") and _same(
        wanted.get("arguments"), got.get("arguments")
    )


def _same(wanted: Any, got: Any) -> bool:
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return wanted.keys() == got.keys() and all(_same(wanted[k], got[k]) for k in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(_same, wanted, got))
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    if isinstance(wanted, (int, float)) != isinstance(got, (int, float)):
        return str(wanted) == str(got)
    return bool(wanted == got)
