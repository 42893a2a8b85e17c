"""Who stays among texts that are alike: greedy in order of preference."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from processors.curation.seal.shingles import Array

_ROUNDS = 32


class Fate(IntEnum):
    """What becomes of a text. The values are those of the arrays."""

    KEPT = 0
    EXACT_DUPLICATE = 1
    NEAR_DUPLICATE = 2
    GOLDEN = 3
    """It resembles a golden case."""


def fates(count: int, golden: int, left: Array, right: Array) -> Array:
    """The fate of each of `count` texts in order of preference, uint8.

    `left[i] < right[i]` are alike. The first `golden` texts are golden cases and stay; what resembles
    one of them is GOLDEN; another is a NEAR_DUPLICATE if an earlier one that is KEPT resembles it.
    This is the lexicographically first maximal independent set, found in parallel rounds (Blelloch,
    Fineman, Shun 2012); what long chains leave after these is done one by one.
    """
    fate = np.full(count, Fate.KEPT, np.uint8)
    fate[right[(left < golden) & (right >= golden)]] = Fate.GOLDEN
    inside = (left >= golden) & (fate[left] == Fate.KEPT) & (fate[right] == Fate.KEPT)
    left, right = left[inside], right[inside]
    for _ in range(_ROUNDS):
        if not len(left):
            return fate
        left, right = _round(fate, left, right)
    for place in np.lexsort((left, right)).tolist():
        if fate[left[place]] == Fate.KEPT:
            fate[right[place]] = Fate.NEAR_DUPLICATE
    return fate


def _round(fate: Array, left: Array, right: Array) -> tuple[Array, Array]:
    """Decide what only depends on texts with no open edge from before; the edges still open."""
    waiting = np.zeros(len(fate), bool)
    waiting[right] = True
    fate[right[~waiting[left]]] = Fate.NEAR_DUPLICATE
    still = (fate[left] == Fate.KEPT) & (fate[right] == Fate.KEPT)
    return left[still], right[still]


def kept_relative(fate: Array, left: Array, right: Array) -> Array:
    """For each near-duplicate the first kept text found to resemble it, else −1; int64."""
    far = np.iinfo(np.int64).max
    first = np.full(len(fate), far)
    given = (fate[left] == Fate.KEPT) & (fate[right] == Fate.NEAR_DUPLICATE)
    np.minimum.at(first, right[given], left[given])
    first[first == far] = -1
    return first
