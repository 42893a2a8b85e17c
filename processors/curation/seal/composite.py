"""The composite score of an example, and the two parts of it that need the whole window.

Quality 60 %, confidence 20 %, diversity 10 %, informativeness 10 %; a part that is not known is left out
and the rest renormalised.

*Diversity* is how far an example lies from the window: its mean distance (1 − Jaccard similarity of word
3-grams, estimated by MinHash) to a seeded sample of what may be accepted. The mean of that over all
examples is Rao's quadratic entropy (Rao, Theoretical Population Biology 1982), so an example above the
mean makes the dataset more diverse.

*Informativeness* is how much there is to learn from an example: the length of its description, in bytes
after compression (Cilibrasi and Vitányi, Clustering by Compression, 2005, use the same stand-in for
Kolmogorov complexity), against what is usual in its window: x / (x + median).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.seal.fates import Mask
from processors.curation.seal.minhash import MinHashLsh, Signatures
from processors.curation.seal.selection import numbers

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
WEIGHTS = {"quality": 0.6, "confidence": 0.2, "diversity": 0.1, "informativeness": 0.1}
_SAMPLE = 64
_DIGITS = 6


class Composite(NamedTuple):
    """One entry a row, 0–100, NaN where nothing is known or the row was left out before."""

    score: Floats
    quality: Floats
    confidence: Floats
    diversity: Floats
    informativeness: Floats


def composite(
    facts: pa.Table,
    kept: Mask,
    signatures: Signatures,
    ranks: np.ndarray[Any, np.dtype[np.uint64]],
    engine: MinHashLsh,
) -> Composite:
    """Score the rows that are kept; `ranks` is a seeded number for each row."""
    parts = {
        "quality": numbers(facts["quality"]),
        "confidence": 100 * numbers(facts["confidence"]),
        "diversity": 100 * diversity(signatures, kept, ranks, engine),
        "informativeness": 100 * informativeness(numbers(facts["information"]), kept),
    }
    total, weight = np.zeros(len(kept)), np.zeros(len(kept))
    for name, part in parts.items():
        known = ~np.isnan(part)
        total += WEIGHTS[name] * np.where(known, part, 0)
        weight += WEIGHTS[name] * known
    score = np.full(len(kept), np.nan)
    np.divide(total, weight, out=score, where=(weight > 0) & kept)
    rounded = {name: np.round(part, _DIGITS) for name, part in parts.items()}
    return Composite(np.round(score, _DIGITS), **rounded)


def diversity(
    signatures: Signatures,
    kept: Mask,
    ranks: np.ndarray[Any, np.dtype[np.uint64]],
    engine: MinHashLsh,
) -> Floats:
    """The mean distance, 0–1, of each kept row to the sample; NaN for what is alone."""
    rows = np.flatnonzero(kept)
    sample = np.sort(rows[np.argsort(ranks[rows], kind="stable")[:_SAMPLE]])
    found = np.full(len(kept), np.nan)
    if len(rows) < 2:  # noqa: PLR2004 - nothing to be far from
        return found
    alike = np.zeros(len(rows))
    for one in sample:
        near = np.clip(engine.estimate(signatures, rows, np.full(len(rows), one)), 0, 1)
        alike += np.where(rows == one, 0, near)
    others = len(sample) - np.isin(rows, sample)
    found[rows] = 1 - alike / np.maximum(others, 1)
    return found


def informativeness(size: Floats, kept: Mask) -> Floats:
    """The compressed size of each kept row against the median of all, 0–1."""
    found = np.full(len(kept), np.nan)
    if kept.any():
        usual = max(float(np.median(size[kept])), 1.0)
        found[kept] = size[kept] / (size[kept] + usual)
    return found
