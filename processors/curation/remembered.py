"""Many identities in little memory: sorted blocks of digests, and a sieve that says which to search."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from struct import Struct
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
_KEY = np.dtype([("key", "<u8"), ("rest", "<u2")])
DIGEST_BYTES = _KEY.itemsize
"""80 bits: see `Seen` for what that means."""
_SLOTS = 32
_CELLS_A_ROW = 7
_OTHER_CELL = 32
"""Bits of a key below those that name its second cell."""
_FEWEST = 64
_FAR = 2**63
_OWN_PAGES = 65_536
split = Struct("<QH").unpack
"""A digest as (key, rest)."""


def keys_of(digests: Iterable[bytes]) -> Array:
    """Digests as an array with the fields `key` and `rest`."""
    return np.frombuffer(b"".join(digests), _KEY)


class Block:
    """The identities of one range of offsets, sorted by digest, each with its latest timestamp.

    `low` and `high` are the bounds of all timestamps, in milliseconds UTC.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.bit = 1 << number % _SLOTS
        self.low, self.high = _FAR, -_FAR
        self.keys: Array = np.empty(0, np.uint64)
        self.rests: Array = np.empty(0, np.uint16)
        self.stamps: Array = np.empty(0, np.int64)
        self._base = 0

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, keys: Array, stamps: Array) -> None:
        """Merge further ones; of an identity that comes again, the later timestamp stays."""
        whole = np.concatenate([self.keys, keys["key"]])
        order = np.argsort(whole, kind="stable")  # linear for what is sorted already
        rests = np.concatenate([self.rests, keys["rest"]])
        stamps = np.concatenate([self.stamps, stamps])
        if (whole[order[1:]] == whole[order[:-1]]).any():
            order = _latest(whole, rests, stamps)
        self.keys = whole[order]
        del whole  # no more than needed is held at once
        self.rests = rests[order]
        del rests
        self.stamps = stamps[order]

    def find(self, key: int, rest: int) -> int:
        """The place of an identity; -1 if it is not here."""
        wanted, keys = np.uint64(key), self.keys
        place = int(keys.searchsorted(wanted))
        while place < len(keys) and keys[place] == wanted:
            if self.rests[place] == rest:
                return place
            place += 1
        return -1

    def stamp(self, place: int) -> int:
        """The latest timestamp of the identity at a place."""
        return int(self.stamps[place]) + self._base

    def freeze(self) -> None:
        """Nothing comes after this: timestamps take 4 bytes if they lie within 49 days."""
        if not len(self) or self.stamps.dtype != np.int64:
            return
        low, high = int(self.stamps.min()), int(self.stamps.max())
        if high - low < 2**32:
            self._base, self.stamps = low, (self.stamps - low).astype(np.uint32)
        self.keys, self.rests, self.stamps = map(_settled, (self.keys, self.rests, self.stamps))


def _latest(keys: Array, rests: Array, stamps: Array) -> Array:
    """The places of each identity's latest timestamp, in the order of identities."""
    order = np.lexsort((stamps, rests, keys))
    after, before = order[1:], order[:-1]
    last = (keys[after] != keys[before]) | (rests[after] != rests[before])
    found: Array = order[np.concatenate([last, [True]])]
    return found


def _settled(array: Array) -> Array:
    """The same in pages of its own if it is large: those between others would never be given back."""
    if array.nbytes < _OWN_PAGES:
        return array
    own = np.frombuffer(mmap.mmap(-1, array.nbytes), array.dtype)
    own[:] = array
    return own


class Sieve:
    """Which blocks may hold a digest: two cells of 32 bits are looked at, one bit a block.

    With 7 cells a row of the largest block, 5 % of the blocks without it are searched in vain.
    """

    def __init__(self, rows: int = 0) -> None:
        size = 1 << (max(rows, _FEWEST) * _CELLS_A_ROW - 1).bit_length()
        self._cells = np.zeros(size, np.uint32)
        self._read = self._cells.data
        self._last = size - 1

    def fits(self, block: Block) -> bool:
        """Whether there are cells enough for a block."""
        return len(block) * _CELLS_A_ROW <= len(self._cells)

    def add(self, block: Block, keys: Array) -> None:
        """The keys of digests that the block holds."""
        for part in (keys, keys >> np.uint64(_OTHER_CELL)):
            self._cells[part & np.uint64(self._last)] |= np.uint32(block.bit)

    def drop(self, block: Block) -> None:
        """The block is forgotten."""
        self._cells &= np.uint32(~block.bit & 0xFFFFFFFF)

    def mask(self, key: int) -> int:
        """The bits of the blocks to search."""
        last, read = self._last, self._read
        return read[key & last] & read[key >> _OTHER_CELL & last]
