"""MinHash with locality-sensitive hashing: which sets may be alike, from signatures of fixed size.

The port has three methods, so that another library can take rensa's place (datasketch does, in the
tests). What it proposes is decided elsewhere, by the exact similarity.

Broder 1997 (MinHash); Indyk, Motwani 1998 (bands); Li, König 2010 (of each slot its lowest bits
suffice to estimate with: here eight).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np

from processors.curation.seal.shingles import Array, Shingles, mixed

SLOTS = 128
_SURE = 0.9999
_SEED = 20_260_101
_PAIRS = 1 << 15
_BLOCK = 256


class Signatures(NamedTuple):
    """n sets, row by row. `bands` (n, bands) uint32: sets that share a key in one band may be alike.

    `slots` (n, 128) uint8: what the similarity is estimated from.
    """

    bands: Array
    slots: Array


class Bucketed(NamedTuple):
    """Texts that share their key in one band with another, those of one key side by side.

    `texts` int64, ascending within a key; `keys` (of the same length) uint32.
    """

    texts: Array
    keys: Array


class MinHashLsh(Protocol):
    """Proposes which sets may have a Jaccard similarity at or above `threshold`.

    A pair at the threshold shares a bucket of some band with probability 0.9999 at least. All
    methods are pure and work row by row: a signature depends on its set, the threshold and the
    library's version alone, so parts can be signed in any number of processes.
    """

    threshold: float

    def sign(self, sets: Shingles) -> Signatures:
        """One signature for each set."""
        ...

    def buckets(self, signatures: Signatures, band: int, rows: Array) -> Bucketed:
        """Which of `rows`, by their places in it, share their key in a band with another."""
        ...

    def estimate(self, signatures: Signatures, left: Array, right: Array) -> Array:
        """The estimated similarity of pairs of rows, 0-1; its error's deviation is √(J(1−J)/128)."""
        ...


def rows_a_band(threshold: float) -> int:
    """How many slots make a band's key: as many as leave a pair at the threshold surely found."""
    fitting = [
        rows
        for rows in range(1, SLOTS + 1)
        if 1 - (1 - threshold**rows) ** (SLOTS // rows) >= _SURE
    ]
    return max(fitting, default=1)


class RensaLsh:
    """rensa's R-MinHash signatures. Banding and estimation over arrays: its own index needs some
    3 GB for a million texts and lists every member of a bucket, however large.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._width = rows_a_band(threshold)

    def sign(self, sets: Shingles) -> Signatures:
        """See the port."""
        slots = np.empty((len(sets.sizes), SLOTS), np.uint32)
        for at in range(0, len(slots), _BLOCK):
            slots[at : at + _BLOCK] = _rensa_slots(sets, at, min(at + _BLOCK, len(slots)))
        return signatures_of(slots, self._width)

    def buckets(self, signatures: Signatures, band: int, rows: Array) -> Bucketed:
        """See the port."""
        return bucketed(signatures.bands[rows, band])

    def estimate(self, signatures: Signatures, left: Array, right: Array) -> Array:
        """See the port."""
        return agreement(signatures.slots, left, right)


def _rensa_slots(sets: Shingles, begin: int, end: int) -> Array:
    """The slots of sets begin…end−1. rensa gives lists: few at a time stay in the cache."""
    from rensa import RMinHash  # noqa: PLC0415 - heavy, used here only

    starts = sets.starts[begin : end + 1]
    hashes = sets.hashes[starts[0] : starts[-1]]
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, (starts - starts[0]).astype(np.uint64), SLOTS, _SEED
    )
    values = chain.from_iterable(matrix.to_rows())
    return np.fromiter(values, np.uint32, (end - begin) * SLOTS).reshape(-1, SLOTS)


def signatures_of(slots: Array, width: int) -> Signatures:
    """Signatures from slots (n, 128) of 32 bits: one key for every `width` of them."""
    keys = [_key(slots[:, at : at + width]) for at in range(0, SLOTS - width + 1, width)]
    return Signatures(np.stack(keys, axis=1), slots.astype(np.uint8))


def _key(slots: Array) -> Array:
    key = np.zeros(len(slots), np.uint64)
    for column in slots.T:
        key = mixed(key ^ column)
    return (key >> np.uint64(32)).astype(np.uint32)


def bucketed(keys: Array) -> Bucketed:
    """The places whose key is not theirs alone, sorted by key, then by place (below 2^32)."""
    both = np.sort(keys.astype(np.uint64) << np.uint64(32) | np.arange(len(keys), dtype=np.uint64))
    keys = (both >> np.uint64(32)).astype(np.uint32)
    same = keys[1:] == keys[:-1]
    shared = np.zeros(len(keys), bool)
    shared[1:] |= same
    shared[:-1] |= same
    return Bucketed((both[shared] & np.uint64(0xFFFF_FFFF)).astype(np.int64), keys[shared])


def agreement(slots: Array, left: Array, right: Array) -> Array:
    """The share of equal slots, less what eight bits agree on by chance."""
    parts = [
        np.count_nonzero(slots[left[at : at + _PAIRS]] == slots[right[at : at + _PAIRS]], axis=1)
        for at in range(0, len(left), _PAIRS)
    ]
    equal = np.concatenate([np.zeros(0, np.int64), *parts]) / slots.shape[1]
    chance = 1 / 256
    return np.asarray((equal - chance) / (1 - chance))


def merged(parts: Sequence[Signatures]) -> Signatures:
    """The signatures of several parts, one after the other."""
    return Signatures(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
