"""Text as it is searched: spaces, dashes, digits and letters of other widths as ASCII writes them.

Letters that JSON inside a string escapes (a backslash, `u00fc`) are read, and what is not seen (joiners, marks of direction,
soft hyphens) is passed over. What is found is replaced in the text as it was: all else stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from processors.curation.expressions import compiled

_SPACES = (0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
_DASHES = (*range(0x2010, 0x2016), 0x2212, 0xFE58, 0xFE63)
_UNSEEN = (0xAD, 0x61C, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065),
           *range(0x2066, 0x206A), 0xFEFF)  # fmt: skip
_ZEROS = (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, *range(0x1D7CE, 0x1D800, 10))
"""Arabic, Persian, Devanagari, Bengali, Thai, and the five of mathematics."""
_WIDE = range(0xFF01, 0xFF5F)
_WIDER_BY = 0xFEE0
_PLAIN = {
    **{chr(code): " " for code in _SPACES},
    **{chr(code): "-" for code in _DASHES},
    **{chr(code): "" for code in _UNSEEN},
    **{chr(zero + digit): str(digit) for zero in _ZEROS for digit in range(10)},
    **{chr(code): chr(code - _WIDER_BY) for code in _WIDE},
}
_PLAIN_UTF8 = {character.encode(): plain.encode() for character, plain in _PLAIN.items()}
_CLASS, _ESCAPE = f"[{''.join(_PLAIN)}]", r"\\\\{0,15}u[0-9a-fA-F]{4}"
_ANY: Any = compiled(_CLASS.encode())
_ESCAPES = re.compile(_ESCAPE.encode())
"""JSON inside JSON doubles its backslashes each time."""
_EITHER = re.compile(f"{_CLASS}|{_ESCAPE}")
_SURROGATES = range(0xD800, 0xE000)


class Span(NamedTuple):
    """Where in a text something was found, and what goes in its place."""

    start: int
    end: int
    name: bytes


def folded(text: bytes) -> bytes:
    """The text, in UTF-8, as it is searched; the same object if that is how it stands."""
    return _folded(text, escaped=rb"\u" in text)


def folded_json(text: bytes) -> bytes:
    """The same of compact JSON; not for reading it: quotes may have lost their escape."""
    return _folded(text, escaped=rb"\\u" in text)


def _folded(text: bytes, *, escaped: bool) -> bytes:
    if escaped:
        text = _ESCAPES.sub(_unescaped, text)
    at = 0
    # A text holds few such characters that differ: 30 µs for 7 KB, where looking at each takes 300.
    while not text.isascii() and (match := _ANY.search(text, at)):
        at, found = match.start(), match.group()
        text = text.replace(found, _PLAIN_UTF8[found])
    return text


def spliced(text: bytes, spans: Sequence[Span]) -> bytes:
    """The text with what was found replaced. Spans are in order and apart."""
    pieces: list[bytes] = []
    done = 0
    for start, end, name in spans:
        pieces += (text[done:start], name)
        done = end
    return b"".join((*pieces, text[done:]))


class Unfolding:
    """Replaces in a text what is found in its folded form, in any number of rounds."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._places: list[int] = []
        self._names: dict[int, tuple[int, bytes]] = {}

    def spliced(self, text: bytes, spans: Sequence[Span]) -> bytes:
        """One round: the folded text as it stands now, with what was found replaced."""
        places = self._places or _places(self._text)
        moved: list[int] = []
        done = 0
        for start, end, name in spans:
            # What lies in a later, longer finding goes with it: it begins no sooner, and ends no later.
            self._names[places[start]] = (places[end], name)
            moved += (*places[done:start], *[places[start]] * len(name))
            done = end
        self._places = moved + places[done:]
        return spliced(text, spans)

    def text(self) -> str:
        """The original with all of it replaced."""
        pieces: list[str] = []
        done = 0
        for start, (end, name) in sorted(self._names.items()):
            if start >= done:
                pieces += (self._text[done:start], name.decode())
                done = end
        return "".join((*pieces, self._text[done:]))


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = int(match[0][-4:], 16)
    if code in _SURROGATES:
        return match[0]
    # Of a control character only that it parts words.
    return chr(code).encode() if code >= ord(" ") else b" "


def _places(text: str) -> list[int]:
    """Of each byte of the folded text, in UTF-8, the character it comes from; and where the text ends."""
    return [*chain.from_iterable(_runs(text, _EITHER.finditer(text))), len(text)]


def _runs(text: str, matches: Iterable[re.Match[str]]) -> Iterator[Iterable[int]]:
    done = 0
    for match in matches:
        yield _bytes_of(text, done, match.start())
        yield [match.start()] * len(folded(match[0].encode()))
        done = match.end()
    yield _bytes_of(text, done, len(text))


def _bytes_of(text: str, start: int, end: int) -> Iterable[int]:
    if text[start:end].isascii():
        return range(start, end)
    return (place for place in range(start, end) for _ in text[place].encode())
