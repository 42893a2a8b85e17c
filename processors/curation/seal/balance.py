"""Balance between cells (domain × difficulty): caps and weights, in columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from processors.curation.seal.shingles import Array


class Capped(NamedTuple):
    """`kept` (n,) bool. `limit`: how many examples of a cell stay at most. `share`: the largest
    cell's share of what is kept.
    """

    kept: Array
    limit: int
    share: float


def cap_cells(cell: Array, preference: Array, share: float) -> Capped:
    """Leave out what a cell has above `share` (0-1] of what is kept.

    Every cell is cut to one limit, the largest at which none has more than its share (water-filling:
    smaller cells lose nothing). k cells cannot all be below 1/k: there the limit is the smallest
    cell, each has 1/k, and the returned share says that it is above what was asked; a single cell
    loses nothing. `cell` (n,) integers from 0; of a cell those with the lowest `preference` (n,)
    stay, of equal ones the earlier.
    """
    counts = np.bincount(cell)
    present = counts[counts > 0]
    limit = _limit(present, max(share, 1 / max(len(present), 1)))
    order = np.lexsort((preference, cell))
    ordered = cell[order]
    kept = np.zeros(len(cell), bool)
    kept[order] = np.arange(len(cell)) - np.searchsorted(ordered, ordered) < limit
    left = np.minimum(present, limit)
    return Capped(kept, limit, float(left.max(initial=0) / max(left.sum(), 1)))


def _limit(counts: Array, share: float) -> int:
    """The largest limit at which no cell has more than `share`: by bisection, for the largest cell's
    share grows with the limit.
    """
    low, high = 0, int(counts.max(initial=0))
    while low < high:
        limit = (low + high + 1) // 2
        if limit <= share * int(np.minimum(counts, limit).sum()) * (1 + 1e-12):
            low = limit
        else:
            high = limit - 1
    return low


def cell_weights(cell: Array, exponent: float, largest: float = 10.0) -> Array:
    """A weight for each example, float64, mean 1: a cell of n examples weighs as n^exponent does.

    1 changes nothing, 0 makes all cells weigh the same, 0.5 lies between. This is the exponentially
    smoothed sampling of multilingual pre-training (Lample, Conneau 2019: exponent 0.5; Arivazhagan
    et al. 2019 call its inverse the temperature), as weights instead of repeats. Before the mean is
    set to 1 no weight is above `largest`, so that a cell of one example does not rule.
    """
    counts = np.bincount(cell)
    mass = np.where(counts > 0, np.maximum(counts, 1.0) ** exponent, 0.0)
    each = mass / mass.sum() * len(cell) / np.maximum(counts, 1) if len(cell) else mass
    weights = np.minimum(each, largest)[cell]
    return np.asarray(weights / weights.mean() if len(cell) else weights)
