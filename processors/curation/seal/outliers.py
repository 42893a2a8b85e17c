"""Runs unlike all others, by an Isolation Forest (Liu, Ting, Zhou 2008)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.seal.fates import Mask
from processors.curation.seal.selection import numbers, weights

Scores: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
ENOUGH = 100
"""Up to so many rows no forest says anything."""
_TREES, _SAMPLES, _DIGITS = 100, 256, 6


def anomaly(facts: pa.Table, kept: Mask, seed: int) -> Scores:
    """The anomaly score of each row that is kept, 0–1, about 0.5 for an ordinary one; else NaN.

    The features come in canonical order and scores are rounded, so that the result does not depend on
    threads or processes.
    """
    scores = np.full(len(kept), np.nan)
    if kept.sum() <= ENOUGH:
        return scores
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - heavy, used here only

    features = _features(facts)[kept]
    forest = IsolationForest(
        n_estimators=_TREES,
        max_samples=min(_SAMPLES, len(features)),
        random_state=seed,
        n_jobs=1,
    )
    scores[kept] = np.round(-forest.fit(features).score_samples(features), _DIGITS)
    return scores


def _features(facts: pa.Table) -> Scores:
    """Sizes on a log scale, and what the row says of the run."""
    sizes = [
        np.log1p(numbers(facts[name])) for name in ("asked_chars", "answer_chars", "turns", "tools")
    ]
    quality = np.nan_to_num(numbers(facts["quality"]))
    return np.stack([*sizes, numbers(facts["calls"]), quality, weights(facts)], axis=1)
