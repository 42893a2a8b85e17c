"""The search for alike texts: band after band, with work that grows with the number of texts.

In a bucket of at most 17, which nearly all are, every pair that matters is compared. It does not
matter if one of the two is given up already and both are in one cluster.

Where very many texts share a template, that would be quadratic. So in a larger, crowded bucket

- the first member is compared with all others, then the first of those still kept with the rest, four
  times; a text that was compared eight times in vain waits for what comes next;
- if more than 17 are kept then, each one's signature is compared with those of its 16 neighbours in the
  order of the next band's keys; the four that look most like it in all bands are compared with it.

Every golden case is compared with all that share a bucket with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from processors.curation.seal.components import components
from processors.curation.seal.greedy import Fate, fates
from processors.curation.seal.jaccard import Read, similarities
from processors.curation.seal.minhash import Bucketed, MinHashLsh, Signatures
from processors.curation.seal.shingles import Array

WINDOW = 16
_LEADERS = 4
_PATIENCE = 8
_CLOSEST = 4
# A pair at the threshold looks less alike than this once in three million.
_DEVIATIONS = 5.0
_PASSES = 8
_ROUNDING = 1e-6


class Pairs(NamedTuple):
    """Pairs of texts and how alike they look."""

    left: Array
    right: Array
    alike: Array


class Links:
    """Which of n distinct texts, numbered in order of preference, resemble each other.

    The first `golden` are golden cases. After `search`, `left` < `right` are pairs at or above the
    threshold, enough of them to tell every fate and cluster; `crowded` counts the texts kept without
    having been compared with everything that was proposed.
    """

    def __init__(
        self,
        engine: MinHashLsh,
        signatures: Signatures,
        rows: Array,
        sizes: Array,
        read: Read,
        golden: int,
    ) -> None:
        """`rows`: each text's row in `signatures` and `sizes` (its number of grams)."""
        self._engine, self._signatures, self._read = engine, signatures, read
        self._rows, self._sizes, self._golden = rows, sizes, golden
        spread = math.sqrt(engine.threshold * (1 - engine.threshold) / signatures.slots.shape[1])
        self._likely = engine.threshold - _DEVIATIONS * spread
        self.left = self.right = np.empty(0, np.int64)
        self.fates = np.full(len(rows), Fate.KEPT, np.uint8)
        self.clusters = np.arange(len(rows))
        self._tested: list[Array] = []
        self._crowded = np.zeros(len(rows), bool)
        self._failures = np.zeros(len(rows), np.int64)
        self._revived = False

    @property
    def crowded(self) -> int:
        """How many kept texts shared a bucket with more than were compared with them."""
        return int((self._crowded & (self.fates == Fate.KEPT)).sum())

    def search(self) -> None:
        """Find the pairs. Repeated while a text that was given up has to be kept after all: what was
        not looked at on its account may matter then.
        """
        for _ in range(_PASSES):
            self._revived = False
            closest = Pairs(*(np.empty(0, kind) for kind in (np.int64, np.int64, np.float64)))
            for band in range(self._signatures.bands.shape[1]):
                closest = _first_few([closest, self._search_band(band)])
            self._compare(closest.left, closest.right)
            if not self._revived:
                return

    def _search_band(self, band: int) -> Pairs:
        """Compare what shares a bucket; returns of crowded ones what looks most alike."""
        members = self._engine.buckets(self._signatures, band, self._rows)
        members, crowd = _parted(members)
        self._compare(*_neighbours(members))
        self._compare_leaders(crowd)
        few, crowd = _parted(_chosen(crowd, self.fates[crowd.texts] == Fate.KEPT))
        self._compare(*_neighbours(few))
        self._crowded[crowd.texts] = True
        return self._closest(crowd, band)

    def _compare_leaders(self, members: Bucketed) -> None:
        """The first of each bucket with its others; then the first of those still kept, and so on.

        Golden cases come first in a bucket, and each is compared with all, however many there are.
        """
        texts, keys = members
        turn = 0
        while len(texts):
            first = np.concatenate([[True], keys[1:] != keys[:-1]])
            leaders = texts[first][np.cumsum(first) - 1]
            for_golden = leaders < self._golden
            patient = (self._failures[texts] < _PATIENCE) & (turn < _LEADERS)
            chosen = ~first & (for_golden | patient)
            self._failures += self._compare(leaders[chosen], texts[chosen])
            chosen &= self.fates[texts] == Fate.KEPT
            texts, keys = texts[chosen], keys[chosen]
            turn += 1

    def _closest(self, members: Bucketed, band: int) -> Pairs:
        """Each text's neighbour that looks most like it, in the order of the next band's keys."""
        texts, keys = members
        bands = self._signatures.bands
        following = bands[self._rows[texts], (band + 1) % bands.shape[1]]
        order = np.lexsort((texts, following, keys))
        texts, keys = texts[order], keys[order]
        best, partner = np.full(len(texts), self._likely), np.full(len(texts), -1)
        for apart in range(1, WINDOW + 1):
            place = np.flatnonzero(keys[apart:] == keys[:-apart]) + apart
            alike = self._estimate(texts[place - apart], texts[place])
            closer = alike > best[place]
            best[place[closer]] = alike[closer]
            partner[place[closer]] = texts[place[closer] - apart]
        found = partner >= 0
        one, other = partner[found], texts[found]
        return Pairs(np.minimum(one, other), np.maximum(one, other), best[found])

    def _compare(self, left: Array, right: Array) -> Array:
        """Compare exactly the pairs that matter and may be alike, and draw the conclusions.

        Returns how often each text, as the right one, was compared in vain.
        """
        matter = self._matter(left, right)
        left, right = left[matter], right[matter]
        likely = self._estimate(left, right) >= self._likely
        left, right = self._untested(left[likely], right[likely])
        rows = self._rows[left], self._rows[right]
        alike = similarities(*rows, self._sizes, self._read) >= self._engine.threshold
        if alike.any():
            self._join(left[alike], right[alike])
        return np.bincount(right[~alike], minlength=len(self._rows))

    def _estimate(self, left: Array, right: Array) -> Array:
        return self._engine.estimate(self._signatures, self._rows[left], self._rows[right])

    def _matter(self, left: Array, right: Array) -> Array:
        """Whether a pair, if alike, would change a fate or a cluster; and its sizes allow it."""
        one, other = self.fates[left], self.fates[right]
        matter = (one == Fate.KEPT) & (other == Fate.KEPT)
        matter |= self.clusters[left] != self.clusters[right]
        matter |= (left < self._golden) & (other != Fate.GOLDEN)
        sizes = self._sizes[self._rows[left]], self._sizes[self._rows[right]]
        matter &= np.minimum(*sizes) >= self._engine.threshold * np.maximum(*sizes) - _ROUNDING
        return np.asarray(matter)

    def _untested(self, left: Array, right: Array) -> tuple[Array, Array]:
        """Each pair once, and never again."""
        pairs = np.unique(left << 32 | right)
        for run in self._tested:
            places = np.minimum(np.searchsorted(run, pairs), len(run) - 1)
            pairs = pairs[run[places] != pairs]
        self._tested = _with_run(self._tested, pairs)
        return pairs >> 32, pairs & 0xFFFF_FFFF

    def _join(self, left: Array, right: Array) -> None:
        self.left = np.concatenate([self.left, left])
        self.right = np.concatenate([self.right, right])
        before, count = self.fates, len(self._rows)
        self.fates = fates(count, self._golden, self.left, self.right)
        named = components(count, self.clusters[left], self.clusters[right])
        self.clusters = named[self.clusters]
        self._revived |= bool(((before != Fate.KEPT) & (self.fates == Fate.KEPT)).any())


def _with_run(runs: list[Array], run: Array) -> list[Array]:
    """Sorted runs and one more; each more than twice as long as the next, so that they stay few."""
    runs = [*runs, run] if len(run) else runs
    while len(runs) > 1 and len(runs[-2]) <= 2 * len(runs[-1]):
        runs = [*runs[:-2], np.sort(np.concatenate(runs[-2:]))]
    return runs


def _parted(members: Bucketed) -> tuple[Bucketed, Bucketed]:
    """Those of buckets small enough to compare all pairs, and those of larger ones."""
    _, bucket, sizes = np.unique(members.keys, return_inverse=True, return_counts=True)
    crowded = sizes[bucket] > WINDOW + 1
    return _chosen(members, ~crowded), _chosen(members, crowded)


def _chosen(members: Bucketed, chosen: Array) -> Bucketed:
    return Bucketed(members.texts[chosen], members.keys[chosen])


def _neighbours(members: Bucketed) -> tuple[Array, Array]:
    """All pairs of one bucket, the smaller number left. Buckets have 17 members at most."""
    texts, keys = members
    lefts, rights = [texts[:0]], [texts[:0]]
    for apart in range(1, WINDOW + 1):
        together = np.flatnonzero(keys[apart:] == keys[:-apart])
        if not len(together):
            break
        lefts.append(texts[together])
        rights.append(texts[together + apart])
    return np.concatenate(lefts), np.concatenate(rights)


def _first_few(parts: Sequence[Pairs]) -> Pairs:
    """Of each right text the pairs that look most alike, each once."""
    left, right, alike = (np.concatenate(column) for column in zip(*parts, strict=True))
    pairs, places = np.unique(left << 32 | right, return_index=True)
    left, right, alike = pairs >> 32, pairs & 0xFFFF_FFFF, alike[places]
    order = np.lexsort((left, -alike, right))
    ranked = right[order]
    few = order[np.arange(len(order)) - np.searchsorted(ranked, ranked) < _CLOSEST]
    return Pairs(left[few], right[few], alike[few])
