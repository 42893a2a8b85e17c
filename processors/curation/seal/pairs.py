"""Preference pairs: two answers to one task, the better and the worse, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.seal.fates import Mask
from processors.curation.seal.selection import equal, null, numbers
from schemas.events import EXECUTION

Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


class Pairs(NamedTuple):
    """Columns of one length: the rows of the two answers, and the margin between them, 0–1.

    Where `chosen` and `rejected` are one row, a person's edit is chosen over the answer that it mended.
    """

    chosen: Places
    rejected: Places
    margin: Numbers

    def take(self, chosen: Mask) -> Pairs:
        """Some of them."""
        return Pairs(self.chosen[chosen], self.rejected[chosen], self.margin[chosen])


def worth(facts: pa.Table) -> Numbers:
    """What an answer is worth, 0–1: its quality, moved halfway to what people and judges gave.

    Nothing, if a person rejected it; NaN where neither is known.
    """
    quality, said = numbers(facts["quality"]) / 100, (numbers(facts["reward"]) + 1) / 2
    either: Numbers = np.where(np.isnan(said), quality, said)
    both = ~np.isnan(quality) & ~np.isnan(said)
    either[both] = (quality[both] + said[both]) / 2
    either[equal(facts["decision"], "reject")] = 0.0
    return either


def preference_pairs(facts: pa.Table, usable: Mask, good: Mask, least: float, most: int) -> Pairs:
    """Pairs of usable rows that were asked the same, in canonical order of the better one, which is `good`.

    Of one prompt the best is paired with the worst, the second with the last but one and so on, as long as
    their margin is at least `least`, and at most `most` times; equal answers make no pair. Every edit is a pair
    of its own, with margin 1.
    """
    compared = _compared(facts, usable, least, most)
    found = [*_corrections(facts, usable & good), *(pair for pair in compared if good[pair[0]])]
    found.sort()
    columns = list(zip(*found, strict=True)) or [(), (), ()]
    return Pairs(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.float64),
    )


def _corrections(facts: pa.Table, usable: Mask) -> Iterator[tuple[int, int, float]]:
    for row in np.flatnonzero(usable & ~null(facts["label"])).tolist():
        yield row, row, 1.0


def _compared(
    facts: pa.Table, usable: Mask, least: float, most: int
) -> Iterator[tuple[int, int, float]]:
    values, answers = worth(facts), facts["answer"].to_pylist()
    asked = facts["prompt_digest"].combine_chunks().dictionary_encode().indices
    codes = asked.fill_null(-1).to_numpy(zero_copy_only=False)
    codes = np.where(
        codes < 0, -1, 2 * codes + equal(facts["type"], EXECUTION)
    )  # plans against plans
    places = np.flatnonzero(usable & (codes >= 0) & ~np.isnan(values) & null(facts["label"]))
    places = places[np.bincount(codes[places], minlength=1)[codes[places]] > 1]
    order = places[np.lexsort((places, -values[places], codes[places]))]
    borders = np.flatnonzero(np.diff(codes[order])) + 1
    for group in np.split(order, borders):
        for better, worse in list(zip(group, group[::-1], strict=True))[
            : min(most, len(group) // 2)
        ]:
            margin = round(float(values[better] - values[worse]), 6)
            if margin < least:
                break
            if answers[better] != answers[worse]:
                yield int(better), int(worse), margin
