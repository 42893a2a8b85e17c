"""The exact Jaccard similarity of pairs of texts, read again in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from processors.curation.seal.shingles import HASH_BITS, MOST_TEXTS, Array, Shingles, shingles

Read = Callable[[Array], Sequence[str]]
"""Folded texts by their row numbers (int64, ascending, each once)."""
_MOST_GRAMS = 1 << 21


def similarities(left: Array, right: Array, sizes: Array, read: Read) -> Array:
    """The Jaccard similarity of row `left[i]` to row `right[i]`, float64, exact.

    `sizes` has the number of grams of every row. At most 4,096 pairs are held at once, and about
    two million grams unless one pair alone has more.
    """
    found = np.empty(len(left))
    order = np.lexsort((right, left))
    for block in _blocks(order, sizes[left] + sizes[right]):
        found[block] = _of_block(left[block], right[block], read)
    return found


def _blocks(order: Array, sizes: Array) -> Iterator[Array]:
    """The order cut where a block is full."""
    total = np.cumsum(sizes[order])
    at = 0
    while at < len(order):
        before = total[at - 1] if at else 0
        end = int(np.searchsorted(total, before + _MOST_GRAMS, "right"))
        end = min(max(end, at + 1), at + MOST_TEXTS)
        yield order[at:end]
        at = end


def _of_block(left: Array, right: Array, read: Read) -> Array:
    rows, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    sets = shingles(read(rows))
    one, other = places[: len(left)], places[len(left) :]
    keys = np.concatenate([_labelled(sets, one), _labelled(sets, other)])
    keys.sort(kind="stable")  # two sorted halves: timsort merges them
    twice = (keys[1:][keys[1:] == keys[:-1]] >> np.uint64(HASH_BITS)).astype(np.int64)
    shared = np.bincount(twice, minlength=len(left))
    return np.asarray(shared / (sets.sizes[one] + sets.sizes[other] - shared))


def _labelled(sets: Shingles, chosen: Array) -> Array:
    """The hashes of the chosen sets, the place of each set in `chosen` above them."""
    taken = sets.take(chosen)
    owners = np.repeat(np.arange(len(chosen), dtype=np.uint64), taken.sizes)
    return np.asarray(taken.hashes | owners << np.uint64(HASH_BITS))
