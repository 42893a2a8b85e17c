"""Texts as sets of word 3-grams, hashed, many texts at a time.

A word is what stands between spaces; in scripts that are written without spaces (Chinese, Japanese,
Thai, Lao, Khmer, Burmese, Tibetan) each character is one. A text of fewer than three words is one
gram, the empty text too. A gram's hash covers its characters in order, 52 bits: two different grams
share one with probability 2^-52, so that the Jaccard similarity of hashes is taken for that of grams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
HASH_BITS = 52
MOST_TEXTS = 1 << 64 - HASH_BITS
"""How many sets fit beside a hash in 64 bits: one sort then serves them all."""
_MOST_CHARACTERS = 1 << 20
_SPACE, _END = 32, 10
_WORDS = 3
# An odd multiplier has an inverse modulo 2^64: a substring's hash is a difference of two prefixes'.
_BASE = 0x9E37_79B9_7F4A_7C15
_UNSPACED = np.array(
    [
        *(0x0E00, 0x1000, 0x1000, 0x10A0, 0x1780, 0x1800, 0x1950, 0x19E0, 0x1A20, 0x1AB0),
        *(0x3000, 0x3100, 0x31F0, 0x3200, 0x3400, 0x4DC0, 0x4E00, 0xA000, 0xF900, 0xFB00),
        *(0xFF66, 0xFFA0, 0x1B000, 0x1B170, 0x20000, 0x40000),
    ],
    np.uint32,
)
"""Code points where such a script begins, then where it ends, and so on."""


class Shingles(NamedTuple):
    """Sets of hashes, one after the other: set i is `hashes[starts[i]:starts[i + 1]]`, ascending.

    `hashes` is uint64 below 2^52, `starts` int64 with one entry more than there are sets.
    """

    hashes: Array
    starts: Array

    @property
    def sizes(self) -> Array:
        """How many members each set has, int64."""
        return np.diff(self.starts)

    def take(self, chosen: Array) -> Shingles:
        """The sets with these numbers, in their order; a number may come again."""
        sizes = self.sizes[chosen]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        shift = np.repeat(self.starts[chosen] - starts[:-1], sizes)
        return Shingles(self.hashes[shift + np.arange(starts[-1])], starts)


def shingles(texts: Sequence[str]) -> Shingles:
    """The grams of folded texts. Raises ValueError for a text that is not folded.

    ASCII texts are worked on apart from others, for they are cheaper.
    """
    plain = np.fromiter(map(str.isascii, texts), bool, len(texts))
    order = np.argsort(~plain, kind="stable")
    ascii_first = [texts[place] for place in order.tolist()]
    count = int(plain.sum())
    halves = ascii_first[:count], ascii_first[count:]
    sets = _joined([_shingled(chunk) for half in halves for chunk in chunks(half)])
    return sets if plain.all() else sets.take(np.argsort(order))


def _joined(parts: Sequence[Shingles]) -> Shingles:
    sizes = np.concatenate([np.zeros(1, np.int64), *(part.sizes for part in parts)])
    hashes = [np.empty(0, np.uint64), *(part.hashes for part in parts)]
    return Shingles(np.concatenate(hashes), np.cumsum(sizes))


def chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists that are worked on at once: few enough, and about a million characters."""
    chunk: list[str] = []
    length = 0
    for text in texts:
        if chunk and (len(chunk) == MOST_TEXTS or length + len(text) > _MOST_CHARACTERS):
            yield chunk
            chunk, length = [], 0
        chunk.append(text)
        length += len(text) + 1
    if chunk:
        yield chunk


def _shingled(texts: Sequence[str]) -> Shingles:
    codes = _codes(texts)
    ends = np.flatnonzero(codes == _END)
    if len(ends) != len(texts):
        raise ValueError("a text has a line break: it was not folded")
    first, last = _words(codes)
    begins = np.searchsorted(first, np.concatenate([[0], ends]))
    hashes = _grams(_prefixes(codes), first, last, begins)
    return _sets(*hashes)


def _codes(texts: Sequence[str]) -> Array:
    """The code points of all texts, a line break after each."""
    joined = "\n".join([*texts, ""])
    if joined.isascii():
        return np.frombuffer(joined.encode("ascii"), np.uint8)
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")


def _words(codes: Array) -> tuple[Array, Array]:
    """Where each word begins, and where it has ended."""
    inside = (codes != _SPACE) & (codes != _END)
    cut = np.zeros(len(codes) + 1, bool)
    cut[0] = True
    cut[1:-1] = inside[1:] != inside[:-1]
    cut[-1] = True
    if codes.dtype != np.uint8:
        high = np.flatnonzero(codes >= _UNSPACED[0])
        alone = high[np.searchsorted(_UNSPACED, codes[high], "right") & 1 == 1]
        cut[alone] = True
        cut[alone + 1] = True
    return np.flatnonzero(cut[:-1] & inside), np.flatnonzero(cut[1:] & inside) + 1


def _prefixes(codes: Array) -> Array:
    """The hash of what stands before each character: sums of value * base^place modulo 2^64."""
    narrow = codes.dtype == np.uint8
    values = _ascii_values()[codes] if narrow else mixed(codes.astype(np.uint64))
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(values * _powers(_BASE, len(codes)), out=sums[1:])
    return sums


def _grams(sums: Array, first: Array, last: Array, begins: Array) -> tuple[Array, Array]:
    """The hash of every gram, text by text, and how many each text has."""
    words = np.diff(begins)
    counts = np.maximum(words - (_WORDS - 1), 1)
    starts = np.cumsum(counts) - counts
    left = np.repeat(begins[:-1] - starts, counts) + np.arange(counts.sum())
    right = left + np.repeat(np.clip(words - 1, 0, _WORDS - 1), counts)
    empty = np.repeat(words == 0, counts)
    left[empty], right[empty] = 0, 0
    raw = np.zeros(len(left), np.uint64)
    if len(first):
        from_here = first[left]
        inverse = _powers(pow(_BASE, -1, 1 << 64), len(sums))
        raw = (sums[last[right]] - sums[from_here]) * inverse[from_here]
    raw[empty] = 0
    return mixed(raw) >> np.uint64(64 - HASH_BITS), counts


def _sets(hashes: Array, counts: Array) -> Shingles:
    """Each text's hashes sorted and without repeats. The text's number is kept above the hash."""
    shift = np.uint64(HASH_BITS)
    owners = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    keys = np.sort(hashes | owners << shift)
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
    sizes = np.bincount((keys >> shift).astype(np.int64), minlength=len(counts))
    return Shingles(keys & np.uint64((1 << HASH_BITS) - 1), np.concatenate([[0], np.cumsum(sizes)]))


def mixed(values: Array) -> Array:
    """uint64 values, mixed so that every bit depends on all (the finaliser of SplitMix64)."""
    mix = values + np.uint64(_BASE)
    mix = (mix ^ mix >> np.uint64(30)) * np.uint64(0xBF58_476D_1CE4_E5B9)
    mix = (mix ^ mix >> np.uint64(27)) * np.uint64(0x94D0_49BB_1331_11EB)
    return np.asarray(mix ^ mix >> np.uint64(31))


@lru_cache(maxsize=1)
def _ascii_values() -> Array:
    return mixed(np.arange(128, dtype=np.uint64))


def _powers(base: int, count: int) -> Array:
    """base^0, base^1, … modulo 2^64."""
    usual = 2 * _MOST_CHARACTERS
    return (_remembered_powers(base, usual) if count <= usual else _computed_powers(base, count))[
        :count
    ]


@lru_cache(maxsize=2)
def _remembered_powers(base: int, count: int) -> Array:
    return _computed_powers(base, count)


def _computed_powers(base: int, count: int) -> Array:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)
