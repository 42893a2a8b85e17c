"""Placeholders in place of findings, the same for the same value throughout one trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from processors.curation.findings import GROUPED, Finder, next_group
from processors.curation.folding import Span, Unfolding, folded, spliced
from processors.curation.patterns import NAMES_THAT_TELL

ALL = ("",)
"""The hint that every string holds."""
_Splice: TypeAlias = Callable[[bytes, Sequence[Span]], bytes]
_NAME = re.compile("[A-Za-z_ -]{2,40}")
_LONGEST_NAMED = 300
_REMEMBERED = 1024
_LEAST_NUMBER = 10**6
"""Numbers below it are no finding: the shortest is a phone number of seven digits."""


class Compiled(NamedTuple):
    """(kind, expression) of the installation's own, and (…, finder, needs) of ours, for UTF-8.

    `sign` finds any of ours in folded JSON, or NUL, `alone` those that stay within a string.
    `normal` are the forms of values by kind.
    """

    own: list[tuple[str, Any]]
    built_in: list[tuple[str, Any, Finder, tuple[bytes, ...]]]
    sign: Any
    alone: Any
    normal: Mapping[str, Callable[[str], str]]


class Trace:
    """The placeholders of one trace. `found` says by kind how often each value was found.

    Values are in their normal form. A string that holds none of the `hints` is known to hold nothing.
    """

    def __init__(self, patterns: Compiled, hints: Sequence[str] = ALL) -> None:
        self._patterns = patterns
        self._hints = hints
        self._names: dict[tuple[str, str], bytes] = {}
        self.found: dict[str, dict[str, int]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind were found."""
        return {kind: sum(values.values()) for kind, values in self.found.items()}

    def text(self, text: str, name: str = "") -> str:
        """`text` with every finding replaced; NUL characters become U+FFFD.

        `name` is what it is called, and may tell what it is. Raises ValueError if it holds a finding.
        """
        text = text.replace("\0", "\ufffd")
        lead = f"{name}: " if name else ""
        whole = lead + text if lead else text
        redacted = self._redacted(whole, len(lead))
        if redacted == whole:
            return text
        if not redacted.startswith(lead):
            raise ValueError("a name that is redacted")
        return redacted[len(lead) :]

    def _redacted(self, text: str, lead: int) -> str:
        encoded = text.encode()
        plain = folded(encoded)
        if plain == encoded:
            return self._searched(encoded, lead, spliced).decode()
        unfolding = Unfolding(text)
        self._searched(plain, lead, unfolding.spliced)
        return unfolding.text()

    def _searched(self, text: bytes, lead: int, splice: _Splice) -> bytes:
        """With the findings replaced by `splice`, pattern by pattern: the installation's own come first.

        Those do not see the `lead`, what the text is called.
        """
        for kind, pattern in self._patterns.own:
            matches = [match for match in pattern.finditer(text[lead:]) if match.group()]
            spans = [
                Span(lead + m.start(), lead + m.end(), self._placeholder(kind, m.group()))
                for m in matches
            ]
            text = splice(text, spans) if spans else text
        if self._hints is ALL and self._patterns.sign.search(text) is None:
            return text
        small = text.lower()
        for kind, pattern, find, needs in self._patterns.built_in:
            # A search of what is not there takes 1 µs, this 0.1. Neither needs what placeholders hold.
            if not needs or any(need in small for need in needs):
                spans = self._spans(text, kind, pattern, find)
                text = splice(text, spans) if spans else text
        return text

    def _spans(self, text: bytes, kind: str, pattern: Any, find: Finder) -> list[Span]:
        """As `pattern.sub` would replace them, but that what follows a finding is looked at again.

        Among digits in groups a candidate may begin too early, and one that is none may hide one.
        """
        spans: list[Span] = []
        at, grouped = 0, kind in GROUPED
        while match := pattern.search(text, at):
            start, end = match.span()
            found = find(text[start:end].decode()).encode()
            if found:
                begin = text.index(found, start)
                at = begin + len(found)
                spans.append(Span(begin, at, self._placeholder(kind, found)))
            else:
                at = next_group(text, start, end) if grouped else end
        return spans

    def value(self, value: Any, name: str = "") -> Any:
        """Any JSON value: strings inside are redacted, and numbers that are findings; keys are kept.

        `name` is the key that holds it, or holds the list or the object that it is in: it may tell what
        the value is. What holds no finding is returned as it is, not copied.
        """
        kind = type(value)
        if kind is dict:
            return self._dict(value, name if _tells(name) else "")
        if kind is list or kind is tuple:
            name = name if _tells(name) else ""
            return [self._dict(i, name) if type(i) is dict else self.value(i, name) for i in value]
        if kind is str:
            return self._string(value, name) if self._hinted(value) else value
        if isinstance(value, (int, float)) and abs(value) >= _LEAST_NUMBER:
            return self._number(value, name)
        return value

    def _dict(self, value: dict[str, Any], name: str) -> dict[str, Any]:
        """`name` tells what is inside, or is empty; a key that tells more goes before it."""
        changed, hints = value, self._hints
        for key, item in value.items():
            kind = type(item)
            if kind is str:
                for hint in hints:
                    if hint in item:
                        break
                else:
                    continue
                redacted: Any = self._string(item, key if not name or _tells(key) else name)
            else:
                told = key if not name or _tells(key) else name
                redacted = self.value(item, told)
            if redacted is not item:
                if changed is value:
                    changed = dict(value)
                changed[key] = redacted
        return changed

    def _string(self, text: str, name: str) -> str:
        told = len(text) <= _LONGEST_NAMED and _tells(name)
        return self.text(text, name if told else "")

    def _number(self, number: float, name: str) -> Any:
        text = str(int(number)) if isinstance(number, int) else float.__repr__(number)
        if not self._hinted(text):
            return number
        redacted = self.text(text, name if _tells(name) else "")
        return number if redacted == text else redacted

    def _hinted(self, text: str) -> bool:
        return any(hint in text for hint in self._hints)

    def _placeholder(self, kind: str, text: bytes) -> bytes:
        found, normal = text.decode(), self._patterns.normal.get(kind)
        value = normal(found) if normal else found
        values = self.found.setdefault(kind, {})
        values[value] = values.get(value, 0) + 1
        name = self._names.get((kind, value))
        if name is None:
            name = self._names[kind, value] = f"<{kind}_{len(values)}>".encode()
        return name


@lru_cache(_REMEMBERED)
def _tells(name: str) -> bool:
    """Whether what a value is called may tell what it is."""
    return bool(_NAME.fullmatch(name) and NAMES_THAT_TELL.search(name))
