"""Which prompts resemble a golden case as nearly as the seal means it: exactly, without signatures.

There are few cases, so one look at the grams of each prompt tells nearly all of them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.curation.seal.shingles import Array, Shingles, shingles


def resembling(
    prompts: Sequence[str], cases: Sequence[str], threshold: float
) -> list[tuple[int, int]]:
    """(place of a prompt, place of a case) whose Jaccard similarity of grams reaches `threshold`.

    Both are what was asked, folded (see `processors.curation.seal.conversation.asked`).
    """
    ours, theirs = shingles(cases), shingles(prompts)
    shared = np.isin(theirs.hashes, np.unique(ours.hashes))
    counts = np.add.reduceat(shared, theirs.starts[:-1], dtype=np.int64) if prompts else shared
    # Of two alike sets the smaller one's share in the other reaches the threshold as well.
    near = np.flatnonzero(counts >= threshold * theirs.sizes)
    return [
        (prompt, case)
        for prompt in near.tolist()
        for case in range(len(cases))
        if _jaccard(_set(theirs, prompt), _set(ours, case)) >= threshold
    ]


def _set(sets: Shingles, number: int) -> Array:
    return sets.hashes[sets.starts[number] : sets.starts[number + 1]]


def _jaccard(left: Array, right: Array) -> float:
    both = len(np.intersect1d(left, right, assume_unique=True))
    return both / (len(left) + len(right) - both)
