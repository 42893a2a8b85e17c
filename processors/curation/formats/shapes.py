"""What a loader that infers types has to see first.

Hugging Face `datasets` takes a file's types from its first 10 MiB, and fails where a later line has a key that
none of those had: a file must not begin with thousands of plain conversations and end with tool calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Shape = tuple[str, Any]


def shapes(value: Any, path: str = "") -> Iterator[Shape]:
    """Every place of a record with the keys or the type of what stands there; places in a list are one."""
    if isinstance(value, dict):
        yield path, frozenset(value)
        for key, inner in value.items():
            yield from shapes(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from shapes(inner, f"{path}[]")
    else:
        yield path, type(value)
