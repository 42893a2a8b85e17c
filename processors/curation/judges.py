"""What a judge's word is worth: measured against the environment's own outcome, never assumed.

A word is 0–1; from 0.5 on it is praise. Where the environment said how the same run ended, word and
outcome make a pair. The fewer pairs there are, the more a word is taken as it was said; but it cannot lift
a score above UNCALIBRATED before the pairs show that praise is right more often than that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

UNCALIBRATED = 70.0
"""The highest score that the word of a judge who is not calibrated can give, 0–100."""
_PRAISE = 0.5
_PRIOR = 2.0
"""Pairs that a word as it was said counts for (two, as in Agresti and Coull, 1998)."""
_Z = 1.959964  # 95 %, two-sided
Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]


class Judges(NamedTuple):
    """By judge, then blame (0) and praise (1): pairs, and how many of them ended well; (judges, 2)."""

    pairs: Floats
    right: Floats

    def ceilings(self) -> Floats:
        """What each judge's praise can lift a score to, 0–100.

        It is the lower end of the 95 % Wilson interval of how often praise was right, and never less than
        UNCALIBRATED. A judge is calibrated where it is more.
        """
        return np.maximum(UNCALIBRATED, 100 * _wilson_low(self.right[:, 1], self.pairs[:, 1]))

    def meanings(self, judges: Codes, words: Floats) -> Floats:
        """The chance, 0–1, that a run of which a judge says this ended well."""
        said = (words >= _PRAISE).astype(np.int64)
        found: Floats = (self.right[judges, said] + _PRIOR * words) / (
            self.pairs[judges, said] + _PRIOR
        )
        return found


def calibrate(judges: Codes, words: Floats, succeeded: Floats, count: int) -> Judges:
    """The record of `count` judges, numbered from 0.

    One entry a word: who said it, what (0–1), and how the run ended by the environment: 1, 0, or NaN where
    it did not say. No entry's place matters.
    """
    known = ~np.isnan(succeeded)
    place = 2 * judges[known] + (words[known] >= _PRAISE)
    pairs = np.bincount(place, minlength=2 * count).astype(np.float64)
    right = np.bincount(place, succeeded[known], minlength=2 * count).astype(np.float64)
    return Judges(pairs.reshape(count, 2), right.reshape(count, 2))


class Judged(NamedTuple):
    """One entry a run: the mean meaning of what judges said (NaN: nothing), and the ceiling, 0–100."""

    word: Floats
    ceiling: Floats


def judged(runs: Codes, judges: Codes, words: Floats, record: Judges, count: int) -> Judged:
    """What is said of each of `count` runs, from one entry a word: of which run, by whom, what.

    The ceiling is that of the most trusted judge that praised the run. No entry's place matters.
    """
    order = np.lexsort((words, judges, runs))  # sums of floats depend on their order
    runs, judges, words = runs[order], judges[order], words[order]
    number = np.bincount(runs, minlength=count)
    total = np.bincount(runs, record.meanings(judges, words), minlength=count)
    mean = np.divide(total, number, out=np.full(count, np.nan), where=number > 0)
    ceiling = np.full(count, UNCALIBRATED)
    praised = words >= _PRAISE
    np.maximum.at(ceiling, runs[praised], record.ceilings()[judges[praised]])
    return Judged(mean, ceiling)


def _wilson_low(right: Floats, pairs: Floats) -> Floats:
    """Lower end of the Wilson score interval (Wilson, JASA 1927); 0 without pairs."""
    many = np.maximum(pairs, 1)
    share = right / many
    middle = share + _Z**2 / (2 * many)
    width = _Z * np.sqrt(share * (1 - share) / many + _Z**2 / (4 * many**2))
    found: Floats = np.where(pairs > 0, (middle - width) / (1 + _Z**2 / many), 0)
    return found
