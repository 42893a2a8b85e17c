"""A split that nothing leaks across, in columns: groups stay together, strata are kept as far as
groups allow, and how far that was stands in the result.

Groups are the components of shared sessions, users, tasks and duplicate clusters (see `groups`). The
larger groups choose first: the part that a seeded hash draws if all their strata lack so much in it, so
that what was held out of one dataset is held out of the next; else the part that its strata lack most in
proportion and that has room. Groups of one example come last, and fill each stratum's parts to their
shares, in the order of the same hash. (Greedy, after Sechidis, Tsoumakas, Vlahavas 2011: what is hardest
to place goes first, to where it is wanted most.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from processors.curation.seal.shingles import Array, mixed

TRAIN, VALIDATION, TEST = range(3)


class Parts(NamedTuple):
    """`parts` (n,) uint8: 0 train, 1 validation, 2 test.

    `counts` (strata, 3) int64: examples of each stratum in each part. `shares`: what was asked for.
    `largest`: the number of examples in the largest group; no part smaller than it can hold it.
    """

    parts: Array
    counts: Array
    shares: tuple[float, float, float]
    largest: int

    @property
    def sizes(self) -> Array:
        """Examples in each part."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def deviation(self) -> Array:
        """(strata, 3): each stratum's share in each part, less the share asked for."""
        return np.asarray(_shares(self.counts) - np.array(self.shares))

    @property
    def overall_deviation(self) -> Array:
        """(3,): the same of all examples."""
        return np.asarray(_shares(self.sizes) - np.array(self.shares))

    @property
    def mean_deviation(self) -> float:
        """The mean absolute deviation over strata and parts, strata weighted by their size."""
        total = max(int(self.sizes.sum()), 1)
        return float((np.abs(self.deviation).mean(axis=1) * self.counts.sum(axis=1)).sum() / total)

    @property
    def missing(self) -> tuple[int, ...]:
        """The parts that were asked for and have no example."""
        asked = np.array(self.shares) > 0
        return tuple(np.flatnonzero(asked & (self.sizes == 0)).tolist())

    def complaint(self) -> str | None:
        """Why this split is of no use, in one line, or nothing."""
        if not self.missing:
            return None
        names = " and ".join(("train", "validation", "test")[part] for part in self.missing)
        total = int(self.sizes.sum())
        why = (
            f", of which {self.largest:,} must stay together, for they share a session, a user, a task "
            "or a duplicate cluster"
        )
        return f"no example for {names}: {total:,} examples{why if self.largest > 1 else ''}"


def leakproof_split(
    group: Array, strata: Array, names: Array, shares: tuple[float, float, float], seed: int
) -> Parts:
    """The part of each of n examples.

    `group` (n,) int64: the group's smallest member. `strata` (n,) integers from 0 (domain ×
    difficulty, see `cells`). `names` (n,) uint64, for instance of what owns the example (see `owners`): two
    groups have none in common, and which group goes where depends on its smallest, not on the order and little
    on what else was read. `shares` of train, validation and test add up to 1. A group goes to one part whatever
    its size: one that is more than the training share goes to train (if that has the largest share), and the
    others get what is left; see `Parts.complaint` for when nothing is left.
    """
    count = int(strata.max()) + 1 if len(strata) else 0
    roots, member, sizes = np.unique(group, return_inverse=True, return_counts=True)
    keys = _seeded(roots, member, names, seed)
    placed = np.zeros(len(roots), np.uint8)
    filled = _Filled(np.bincount(strata, minlength=count), shares)
    many = np.flatnonzero(sizes > 1)
    order = many[np.lexsort((keys[many], -sizes[many]))]
    drawn = _drawn(keys, shares)
    for one, held in zip(order.tolist(), _strata_of(order, member, strata), strict=True):
        placed[one] = filled.place(*held, int(drawn[one]))
    single = np.flatnonzero(sizes == 1)
    stratum_of = np.zeros(len(roots), np.int64)
    stratum_of[member] = strata
    placed[single] = _fill(stratum_of[single], keys[single], filled)
    _leave_none_empty(placed, sizes, keys, shares)
    parts = placed[member]
    counts = np.bincount(strata * 3 + parts, minlength=count * 3).reshape(count, 3)
    return Parts(parts, counts, shares, int(sizes.max(initial=0)))


class _Filled:
    """How many examples each part should have and has, by stratum."""

    def __init__(self, totals: Array, shares: tuple[float, float, float]) -> None:
        self.wanted = np.outer(totals, shares)
        self.held = np.zeros_like(self.wanted)
        self._room = self.wanted.sum(axis=0).tolist()
        self._open = [part for part in range(3) if shares[part] > 0]

    def place(self, strata: Array, counts: Array, drawn: int) -> int:
        """The part that a group of `counts` examples in `strata` goes to: the drawn one if it can."""
        wanted, size = self.wanted[strata], int(counts.sum())
        lack = wanted - self.held[strata]
        fits = [part for part in self._open if self._room[part] >= size]
        if drawn in fits and (lack[:, drawn] >= counts).all():
            part = drawn
        elif fits:
            need = (counts @ (lack / np.where(wanted > 0, wanted, np.inf))).tolist()
            part = max(fits, key=need.__getitem__)
        else:
            part = max(self._open, key=self._room.__getitem__)
        self.held[strata, part] += counts
        self._room[part] -= size
        return part


def _fill(strata: Array, keys: Array, filled: _Filled) -> Array:
    """The part of single examples: what each stratum's parts lack, drawn by the seeded hash."""
    parts = np.zeros(len(strata), np.uint8)
    order = np.lexsort((keys, strata))
    owed = np.zeros(3)
    for stratum, begin, end in _runs(strata[order]):
        lack = np.maximum(filled.wanted[stratum] - filled.held[stratum], 0)
        ideal = (end - begin) * lack / lack.sum()
        quota = _rounded(ideal + owed, end - begin)
        owed += ideal - quota
        parts[order[begin:end]] = np.repeat((TEST, VALIDATION, TRAIN), quota[::-1])
    return parts


def _leave_none_empty(
    placed: Array, sizes: Array, keys: Array, shares: tuple[float, float, float]
) -> None:
    """Where rounding left a part without an example, the largest that has two groups gives its smallest."""
    for part in (TEST, VALIDATION, TRAIN):
        if not shares[part] or (placed == part).any():
            continue
        held = np.bincount(placed, sizes, 3) * (np.bincount(placed, minlength=3) > 1)
        if held.any():
            given = np.flatnonzero(placed == held.argmax())
            placed[given[np.lexsort((keys[given], sizes[given]))[0]]] = part


def _rounded(ideal: Array, total: int) -> Array:
    """Whole numbers from 0 that add up to `total` and are as near to `ideal` as that allows."""
    quota = np.maximum(np.floor(ideal + 1e-9), 0).astype(np.int64)
    for _ in range(abs(int(total - quota.sum()))):
        step = 1 if quota.sum() < total else -1
        behind = np.where((step > 0) | (quota > 0), step * (ideal - quota), -np.inf)
        quota[int(np.argmax(behind))] += step
    return quota


def _runs(values: Array) -> list[tuple[int, int, int]]:
    """Each distinct value of a sorted array with where it begins and ends."""
    found, first = np.unique(values, return_index=True)
    ends = [*first[1:].tolist(), len(values)][: len(found)]
    return list(zip(found.tolist(), first.tolist(), ends, strict=True))


def _strata_of(order: Array, member: Array, strata: Array) -> Sequence[tuple[Array, Array]]:
    """For each group in `order` the strata of its members and how many are in each."""
    rank = np.full(int(member.max(initial=-1)) + 1, -1)
    rank[order] = np.arange(len(order))
    inside = np.flatnonzero(rank[member] >= 0)
    width = int(strata.max(initial=0)) + 1
    cells, counts = np.unique(rank[member[inside]] * width + strata[inside], return_counts=True)
    cuts = np.searchsorted(cells // width, np.arange(1, len(order)))
    return list(zip(np.split(cells % width, cuts), np.split(counts, cuts), strict=True))[
        : len(order)
    ]


def _seeded(roots: Array, member: Array, names: Array, seed: int) -> Array:
    """A number for each group that depends on the seed and on its members' names."""
    smallest = np.full(len(roots), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, member, names.astype(np.uint64))
    return mixed(mixed(smallest) ^ np.uint64(seed % (1 << 64)))


def _drawn(keys: Array, shares: tuple[float, float, float]) -> Array:
    """The part that each key falls in, if the parts are laid side by side: test, validation, train."""
    borders = np.cumsum([shares[TEST], shares[VALIDATION]]) * float(np.iinfo(np.uint64).max)
    return TEST - np.searchsorted(borders, keys.astype(float), side="right")


def _shares(counts: Array) -> Array:
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1))
