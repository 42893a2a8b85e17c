"""A fitted domain model: texts in, domains and confidences out, the same bits on every machine.

A text is the set of its grams, weighted by inverse document frequency and scaled to length 1. Each
domain has a hyperplane; the domain whose hyperplane the text lies furthest above is proposed. How far,
in standard deviations of that domain's own held-out texts, says how typical it is: texts less typical
than all but ALPHA of the held-out ones are `unknown` (one hyperplane a domain and a limit from its own
texts: Shu et al., DOC, EMNLP 2017; the share of held-out texts as a p-value: Vovk et al., Algorithmic
Learning in a Random World, 2005). Sums are of integers; what follows are single IEEE operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from processors.curation.domains.grams import grams

UNKNOWN = "unknown"
ALPHA = 0.05
"""Share of a known domain's texts that may be called unknown."""
LEVELS = 200
UNIT = 1 << 16
"""Weights and squared lengths are whole numbers of 1/UNIT."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Numbers = np.ndarray[Any, np.dtype[np.int32]]
_TEXTS = 2_048


class Prediction(NamedTuple):
    """One entry a text. `domains` are places in the model's `labels`, -1 for unknown; int16.

    `confidence`, float64, is the share of held-out texts of known domains that lie no further inside
    their domain than this text does: below ALPHA where it is unknown.
    """

    domains: np.ndarray[Any, np.dtype[np.int16]]
    confidence: Floats


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DomainModel:
    """`weights` is (buckets, domains), `lengths` (buckets,), both int32 in units of 1/UNIT.

    `centre` and `spread` are the mean and standard deviation of held-out margins of each domain, `levels`
    the LEVELS ascending quantiles of standardised held-out margins. `trained` says from what and with what
    the model was made.
    """

    labels: tuple[str, ...]
    weights: Numbers
    lengths: Numbers
    centre: Floats
    spread: Floats
    levels: Floats
    trained: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, texts: Iterable[str]) -> Prediction:
        """The domain of each text; it depends on nothing but the text."""
        parts = [self._predict(batch) for batch in _batches(texts)]
        if not parts:
            return Prediction(np.empty(0, np.int16), np.empty(0, np.float64))
        return Prediction(*map(np.concatenate, zip(*parts, strict=True)))

    def names(self, prediction: Prediction) -> list[str]:
        """The domains by name."""
        known = (*self.labels, UNKNOWN)
        return [known[place] for place in prediction.domains]

    def _predict(self, texts: list[str]) -> Prediction:
        place, top = best(self.margins(texts))
        typical = standardised(place, top, self.centre, self.spread)
        rank = np.searchsorted(self.levels, typical, side="right")
        confidence: Floats = rank / len(self.levels)
        domains = np.where(confidence < ALPHA, -1, place).astype(np.int16)
        return Prediction(domains, confidence)

    def margins(self, texts: list[str]) -> Floats:
        """How far each text lies above each domain's hyperplane: (texts, domains)."""
        buckets, starts = grams(texts)
        sums = np.add.reduceat(self.weights[buckets], starts[:-1], axis=0, dtype=np.int64)
        length = np.add.reduceat(self.lengths[buckets], starts[:-1], dtype=np.int64)
        found: Floats = sums / np.sqrt(length * float(UNIT))[:, None]
        return found


def best(margins: Floats) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Floats]:
    """The place of the greatest margin of each row, the first of equals, and that margin."""
    place = margins.argmax(axis=1)
    return place, margins[np.arange(len(margins)), place]


def standardised(
    place: np.ndarray[Any, np.dtype[np.int64]], margin: Floats, centre: Floats, spread: Floats
) -> Floats:
    """Margins in standard deviations of their domain's."""
    found: Floats = (margin - centre[place]) / spread[place]
    return found


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while batch := list(islice(rest, _TEXTS)):
        yield batch
