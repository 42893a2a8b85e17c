"""What JSON text may hold and an event may not, found in its bytes without parsing them again.

JSON's grammar allows numbers that no double holds and objects that state a key twice; parsers differ
in what they make of both. Each check looks for a cheap sign first and is exact only where it is found.
All of them take time linear in the size, whatever the text holds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEPS = {**dict.fromkeys(b"[{", 1), **dict.fromkeys(b"]}", -1)}
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())
_CONSTANT = re.compile(rb"NaN|Infinity")
_EXPONENT = re.compile(rb"e\+?[0-9]{3,}(?:[\s,\]}]|\Z)")  # begins with a literal: memchr finds it
_CAPITAL = re.compile(rb"E\+?[0-9]{3,}(?:[\s,\]}]|\Z)")
_RUN, _STRIDE = re.compile(rb"[0-9]{5}"), 40
"""200 digits in a row show as 5 in every 40th byte; below that and 10⁹⁹ all numbers are finite."""
_NUMBER = re.compile(rb"[0-9][0-9.eE+-]*+")


Texts = Sequence[tuple[str, str]]
_IDENTITY = ("id", "source", "type", "tenantid", "tenant_id", "execution_id", "plan_id")
_KEYS = {name: f'"{name}"'.encode() for name in _IDENTITY}


def too_deep(value: bytes, limit: int) -> bool:
    """Whether the JSON nests deeper than `limit`."""
    if value.count(b"{") + value.count(b"[") <= limit:
        return False
    brackets = _STRING.sub(b"", value).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > limit


def has_constant(value: bytes) -> bool:
    """Whether NaN or Infinity stands outside of strings: JavaScript, not JSON."""
    if b"NaN" not in value and b"Infinity" not in value:
        return False
    return _CONSTANT.search(_STRING.sub(b"", value)) is not None


def beyond_float(value: bytes) -> bool:
    """Whether a number, of whatever field, is larger than a double can be."""
    possible = _EXPONENT.search(value) or _CAPITAL.search(value) or _RUN.search(value[::_STRIDE])
    return possible is not None and any(map(_infinite, _NUMBER.findall(_STRING.sub(b"", value))))


def _infinite(number: bytes) -> bool:
    try:
        return math.isinf(float(number))
    except ValueError:  # the parser will say so
        return False


def stated_twice(value: bytes, top: Texts, inside: Texts, *, structured: bool) -> str:
    """The key that says who an event is, given again with another value; or nothing.

    `top` are the attributes of a structured event that do, `inside` the keys of its data that do, each
    with the text that was read, which is the last one given. Two are one event to a reader that takes
    the first, and another to one that takes the last. A structured event's `data` counts too. Other
    keys may repeat; the last is taken.

    What to look for without parsing again: where an attribute stands before any object in the event, its
    first value has to be the one that was read; elsewhere a key has to stand once in all of the text.
    (A key written with escapes is not seen.)
    """
    if _plainly_once(value, top, inside, structured=structured):
        return ""
    body: Any = json.loads(value, object_pairs_hook=tuple)
    if not structured:
        return _differing(body, [name for name, _ in inside])
    return _differing(body, [*(name for name, _ in top), "data"]) or _differing(
        dict(body)["data"], [name for name, _ in inside]
    )


def _plainly_once(value: bytes, top: Texts, inside: Texts, *, structured: bool) -> bool:
    """Whether the bytes show it: of `top` the first key has its text, written plainly, or is alone if it
    comes later; `data` and the keys of `inside` are alone.
    """
    if structured and value.count(b'"data"') != 1:
        return False
    for name, _ in inside:
        if value.count(_KEYS[name]) != 1:
            return False
    nested = value.find(b"{", value.find(b"{") + 1)
    for name, text in top:
        key, plain = _KEYS[name], f'"{text}"'.encode()
        at = value.find(key, 0, nested)
        if at < 0:
            if value.count(key) != 1:
                return False
        elif not value.startswith((b":" + plain, b": " + plain), at + len(key)):
            return False
    return True


def _differing(pairs: Any, names: Sequence[str]) -> str:
    """The name whose first value is not its last, in an object: a tuple of (key, value)."""
    last, first = dict(pairs), dict(reversed(pairs))
    return next((name for name in names if first[name] != last[name]), "")
