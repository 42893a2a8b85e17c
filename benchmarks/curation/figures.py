"""Statistics of the curation benchmark: ranks, areas under curves, intervals over whole tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

Floats = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.int64]]
_RESAMPLES = 1_000


def auc(score: Floats, positive: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """The chance that a positive scores above a negative, ties counting half; NaN without either."""
    count = int(positive.sum())
    others = len(positive) - count
    if not count or not others:
        return float("nan")
    above = rankdata(score)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * others))


def spearman(one: Floats, other: Floats) -> float:
    """Spearman's rank correlation, ties averaged."""
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def interval(
    measure: Callable[[Places], float], tasks: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of `measure(places)` when whole tasks are drawn (percentile bootstrap)."""
    _, owner = np.unique(np.asarray(tasks), return_inverse=True)
    order = np.argsort(owner, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(owner))[:-1])
    dice = np.random.default_rng(seed)
    found = []
    for _ in range(_RESAMPLES):
        drawn = dice.integers(len(members), size=len(members))
        value = measure(np.concatenate([members[one] for one in drawn]))
        if not np.isnan(value):
            found.append(value)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def said(value: float, bounds: tuple[float, float]) -> str:
    """0.812 (0.790–0.834)."""
    return f"{value:.3f} ({bounds[0]:.3f}–{bounds[1]:.3f})"
