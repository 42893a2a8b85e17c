"""Texts as sets of hashed grams: words, pairs of neighbouring words, and four letters within a word.

Computed on bytes with numpy for a whole batch at once. A word is a run of letters (any byte beyond
ASCII counts as one), a number is a run of digits and all numbers are the same, and every other mark is
a word of its own: how a text is punctuated says much about its domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

BITS = 16
"""Grams fall into 2**BITS buckets."""
BUCKETS = 1 << BITS
LIMIT = 800
"""Characters of a text that are read."""
Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

_SPACE, _LETTER, _DIGIT, _MARK = range(4)
_PIECE = 4
_BASE = 0x9E3779B97F4A7C15  # odd, hence invertible modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_NUMBER = np.uint64(0x0123456789ABCDEF)
_PAIR, _PART = np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)


def _classes() -> np.ndarray[Any, np.dtype[np.uint8]]:
    found = np.full(256, _MARK, np.uint8)
    found[:33] = _SPACE
    found[127] = _SPACE
    found[128:] = _LETTER
    found[ord("a") : ord("z") + 1] = _LETTER
    found[ord("0") : ord("9") + 1] = _DIGIT
    return found


_CLASS = _classes()


def grams(texts: Sequence[str]) -> tuple[Integers, Integers]:
    """(buckets, starts): the distinct grams of text i are buckets[starts[i]:starts[i + 1]], ascending.

    Bucket 0 is in every text, and nothing else falls into it: no text is without grams.
    """
    data, ends = _joined(texts)
    words, begins, hashes, prefix = _words(data)
    owner = np.searchsorted(ends, begins, side="right")
    pairs = owner[1:] == owner[:-1]
    parts = _parts(data, prefix, words)
    every = np.arange(len(texts), dtype=np.int64)
    keys = np.concatenate(
        [
            every << BITS,
            _keys(owner, hashes),
            _keys(owner[1:][pairs], (hashes[:-1][pairs] * _PAIR) ^ hashes[1:][pairs]),
            _keys(np.searchsorted(ends, parts[0], side="right"), parts[1] ^ _PART),
        ]
    )
    keys.sort()  # np.unique takes ten times as long: it hashes
    found = keys[np.diff(keys, prepend=-1) != 0]
    starts = np.searchsorted(found, np.arange(len(texts) + 1, dtype=np.int64) << BITS)
    return found & (BUCKETS - 1), starts.astype(np.int64)


def _joined(texts: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Integers]:
    """All texts, a zero byte after each, and where each ends (one past the zero).

    Only ASCII is put into lower case: what else has a case depends on Python's tables of Unicode.
    """
    coded = [text[:LIMIT].encode("utf-8", "replace").lower() for text in texts]
    data = np.frombuffer(b"\0".join([*coded, b""]), np.uint8)
    lengths = np.fromiter((len(one) + 1 for one in coded), np.int64, len(coded))
    return data, np.cumsum(lengths)


def _words(
    data: np.ndarray[Any, np.dtype[np.uint8]],
) -> tuple[Integers, Integers, Hashes, Hashes]:
    """(which word each byte is of or -1, each word's first byte, its hash, hashes of all prefixes)."""
    kind = _CLASS[data]
    new = np.ones(len(data), bool)
    new[1:] = (kind[1:] != kind[:-1]) | (kind[1:] == _MARK)
    edges = np.flatnonzero(new)
    ends = np.append(edges[1:], len(data))
    real = kind[edges] != _SPACE
    prefix = _prefixes(data)
    begins, ends = edges[real], ends[real]
    hashes = _spans(prefix, begins, ends)
    hashes[kind[begins] == _DIGIT] = _NUMBER
    letters = np.where(kind == _LETTER, np.cumsum(new), -1)
    return letters.astype(np.int64), begins, hashes, prefix


def _prefixes(data: np.ndarray[Any, np.dtype[np.uint8]]) -> Hashes:
    """prefix[i] = sum of (data[j] + 1) * BASE**j for j < i, modulo 2**64."""
    powers = _powers(_BASE, len(data))
    prefix = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * powers, out=prefix[1:])
    return prefix


def _powers(base: int, count: int) -> Hashes:
    found = np.full(count, base, np.uint64)
    found[:1] = 1
    np.cumprod(found, out=found)
    return found


def _spans(prefix: Hashes, begins: Integers, ends: Integers) -> Hashes:
    """The polynomial hash of each span of bytes, wherever it lies."""
    inverse = _powers(_INVERSE, len(prefix))
    found: Hashes = (prefix[ends] - prefix[begins]) * inverse[begins]
    return found


def _parts(
    data: np.ndarray[Any, np.dtype[np.uint8]], prefix: Hashes, letters: Integers
) -> tuple[Integers, Hashes]:
    """Where four bytes of one word begin, and their hashes."""
    last = max(len(data) - _PIECE + 1, 0)
    inside = (letters[:last] >= 0) & (letters[:last] == letters[_PIECE - 1 :][:last])
    begins = np.flatnonzero(inside)
    return begins, _spans(prefix, begins, begins + _PIECE)


def _keys(owner: Integers, hashes: Hashes) -> Integers:
    """(text, bucket) in one number; buckets 1 to BUCKETS - 1."""
    mixed = hashes ^ (hashes >> np.uint64(32))
    mixed = mixed * np.uint64(_BASE)
    mixed ^= mixed >> np.uint64(29)
    mixed = mixed * _PAIR
    bucket = (mixed >> np.uint64(64 - BITS)).astype(np.int64)
    found: Integers = (owner.astype(np.int64) << BITS) | np.maximum(bucket, 1)
    return found
