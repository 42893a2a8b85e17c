"""`duplicate`: the same tenant, source and id, earlier in the same partition.

The earlier row counts if its Kafka timestamp is at most the window older than this row's, and if it is
not forgotten. Offsets are cut into blocks of a thirtieth of the rows to remember; a block is forgotten

- when the row to judge lies more than thirty blocks beyond it, or
- when all timestamps of a later block, that is complete, are more than the window above all of its own.

So the answer depends on the sequence of rows alone: the same after a restart, whatever the batches
were. A single timestamp, however far off, says nothing of other rows: it can at most keep its own
block from being forgotten by time, and then the count forgets it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from processors.curation.remembered import DIGEST_BYTES, Array, Block, Sieve, keys_of, split
from schemas.rows import Disposition, Row

if TYPE_CHECKING:
    import pyarrow as pa

BLOCKS = 30
"""Complete blocks that are remembered beside the one that is being filled."""
_RECENT = 4_096
Extent = tuple[int, int, int]
"""A block's number, and the lowest and highest Kafka timestamp of its rows."""


class Seen:
    """What was seen of one partition.

    14 bytes a row: 10 of digest, 4 of timestamp (8 in a block whose timestamps are more than 49 days
    apart); and a sieve of 1 byte for each row that can be held. Measured: a process grows by 12 MB
    for 500,000 rows and by 32 MB for 1.8 million. An identity of 80 bits is taken for another one with probability rows / 2^80 a
    lookup: 2e-18 for 2 million rows.
    """

    def __init__(self, window_ms: int, rows: int) -> None:
        """`rows`: how many offsets back an identity is remembered, at least."""
        self._window = window_ms
        self._size = -(-rows // BLOCKS)
        self._recent: dict[bytes, int] = {}
        self._blocks: dict[int, Block] = {}
        self._current: Block | None = None
        self._sieve = Sieve()
        self._parts: dict[int, list[tuple[Array, Array]]] = {}
        self.next_offset = 0

    @property
    def block_rows(self) -> int:
        """How many offsets a block has."""
        return self._size

    def first(self, next_offset: int) -> int:
        """The lowest offset that can matter to the row at `next_offset` and to those after it."""
        return max(next_offset // self._size - BLOCKS, 0) * self._size

    def prepare(self, extents: Iterable[Extent]) -> int:
        """Take up what earlier blocks there are; the lowest offset whose rows `load` asks for.

        The last one is the one that is being filled.
        """
        for number, low, high in sorted(extents):
            self._advance(number)
            block = self._blocks[number]
            block.low, block.high = low, high
        return min(self._blocks, default=0) * self._size

    def load(self, rows: pa.RecordBatch) -> None:
        """Take up rows of the prepared blocks, in any order; `loaded` ends it.

        Columns: offset and timestamp (int64), tenant, source and id (strings).
        """
        offsets = rows["offset"].to_numpy()
        self.next_offset = max(self.next_offset, int(offsets.max(initial=-1)) + 1)
        import pyarrow as pa  # noqa: PLC0415 - heavy, and used here only
        import pyarrow.compute as pc  # noqa: PLC0415

        texts = (rows[name].cast(pa.binary()) for name in ("tenant", "source", "id"))
        joined = pc.binary_join_element_wise(*texts, b"\0")
        known = joined.is_valid().to_numpy(zero_copy_only=False)
        keys = keys_of(map(_digest, joined.drop_null().to_pylist()))
        numbers, stamps = offsets[known] // self._size, rows["timestamp"].to_numpy()[known]
        for number in np.unique(numbers).tolist():
            here = numbers == number
            self._parts.setdefault(number, []).append((keys[here], stamps[here]))

    def loaded(self) -> None:
        """All rows of the prepared blocks have been given to `load`."""
        for number in sorted(self._parts):
            parts, block = self._parts.pop(number), self._blocks.get(number)
            if block is None:
                continue
            keys, stamps = (np.concatenate(column) for column in zip(*parts, strict=True))
            self._add(block, keys, stamps)
            if block is not self._current:
                block.freeze()

    def judge(self, row: Row) -> Row:
        """The row, or the same row as a duplicate; remembers it either way."""
        self.next_offset = row.offset + 1
        number, stamp = row.offset // self._size, row.timestamp
        block = self._current
        if block is None or number > block.number:
            block = self._advance(number)
        block.low, block.high = min(block.low, stamp), max(block.high, stamp)
        identity = identity_of(row)
        if identity is None or not self._note(_digest(identity), stamp):
            return row
        return row._replace(
            disposition=Disposition.DUPLICATE, reasons=("duplicate",), content=None, pii=None
        )

    def _note(self, digest: bytes, stamp: int) -> bool:
        """Whether it is known; remembers its latest timestamp in this block."""
        limit = stamp - self._window
        recent = self._recent.get(digest)
        if recent is not None and recent >= stamp:
            return True
        key, rest = split(digest)
        mask = self._sieve.mask(key)
        latest, held = self._look(mask, key, rest, stamp) if mask else (None, False)
        if not held:
            self._recent[digest] = stamp
            if len(self._recent) >= _RECENT:
                self._flush()
        return (latest is not None and latest >= limit) or (recent is not None and recent >= limit)

    def _look(self, mask: int, key: int, rest: int, stamp: int) -> tuple[int | None, bool]:
        """The latest timestamp in the blocks, and whether the newest block holds it (now later)."""
        latest: int | None = None
        held = False
        for block in self._blocks.values():
            place = block.find(key, rest) if mask & block.bit else -1
            if place < 0:
                continue
            found = block.stamp(place)
            latest = found if latest is None else max(found, latest)
            if block is self._current:
                held = True
                block.stamps[place] = max(found, stamp)
        return latest, held

    def _advance(self, number: int) -> Block:
        """Begin a block: the one before is complete, and what it and the count forget is dropped."""
        if (done := self._current) is not None:
            self._flush()
            done.freeze()
        for block in list(self._blocks.values()):
            outdated = done is not None and done.low - block.high > self._window
            if outdated or number - block.number > BLOCKS:
                del self._blocks[block.number]
                self._sieve.drop(block)
        self._current = self._blocks[number] = Block(number)
        return self._current

    def _flush(self) -> None:
        if self._recent and self._current is not None:
            stamps = np.fromiter(self._recent.values(), np.int64, len(self._recent))
            self._add(self._current, keys_of(self._recent), stamps)
            self._recent.clear()

    def _add(self, block: Block, keys: Array, stamps: Array) -> None:
        block.add(keys, stamps)
        if not self._sieve.fits(block):
            self._sieve = Sieve(len(block))
            for each in self._blocks.values():
                self._sieve.add(each, each.keys)
        else:
            self._sieve.add(block, keys["key"])


def identity_of(row: Row) -> bytes | None:
    """Tenant, source and id, which hold no NUL; None for what could not be read."""
    if row.tenant is None or row.source is None or row.id is None:
        return None
    return f"{row.tenant}\0{row.source}\0{row.id}".encode()


def _digest(identity: bytes) -> bytes:
    return blake2b(identity, digest_size=DIGEST_BYTES).digest()
