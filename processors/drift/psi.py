"""How far a distribution has moved: the population stability index of two histograms.

PSI = Σ (p − q) ln(p / q) over the bins' shares p now and q before: the symmetrised Kullback–Leibler
divergence (Kullback, Leibler 1951, there called J). In credit scoring below 0.1 counts as stable and above
0.25 as another population (Siddiqi, Credit Risk Scorecards, 2006). Those borders are for large samples: of
two samples of n and m from one population the index is (B − 1)(1/n + 1/m) on average over B bins
(Yurdakul, Statistical Properties of Population Stability Index, 2018), so that this stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

_SMOOTHING = 0.5
"""Added to every bin that either has, so that an empty one is rare and not impossible."""


@dataclass(frozen=True, slots=True)
class Stability:
    """The index, and what it would be on average if nothing had moved."""

    index: float
    expected: float


def stability(now: Sequence[int], before: Sequence[int]) -> Stability | None:
    """The index of two histograms over the same bins; None where one of them is empty."""
    if not sum(now) or not sum(before):
        return None
    used = [(p, q) for p, q in zip(now, before, strict=True) if p or q]
    extra = _SMOOTHING * len(used)
    shares = [
        ((p + _SMOOTHING) / (sum(now) + extra), (q + _SMOOTHING) / (sum(before) + extra))
        for p, q in used
    ]
    index = sum((p - q) * log(p / q) for p, q in shares)
    return Stability(index, (len(used) - 1) * (1 / sum(now) + 1 / sum(before)))
