r"""Records whose header names are not UTF-8, which aiokafka can neither read nor pass over.

Its C parser raises UnicodeDecodeError in the middle of a batch, for ever. Then, and only then, the rest
of that answer is parsed by its Python classes, with the bytes of such names escaped (`\xff`).
"""

from __future__ import annotations

from typing import Any, Self, SupportsIndex, overload

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

from schemas.records import Record, UnreadableName

UNREADABLE = (UnicodeDecodeError, CorruptRecordException)
"""What aiokafka's C and Python parsers raise at such a name."""
_V2 = 2
"""The first format of records that has headers."""


class LenientConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's consumer, which reads such records too: their names are `UnreadableName`."""

    async def start(self) -> None:
        """Connect. aiokafka takes no parser from outside, so its fetcher's own are replaced."""
        fetcher.MemoryRecords = Batches
        fetcher.PartitionRecords = _PartitionRecords
        await super().start()


class Batches(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """The batches of an answer, read by the fast parser."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def lenient(self, offset: int) -> _LenientBatches:
        """The same batches from the one of an offset on, which has to be there."""
        return _LenientBatches(self._data, offset)


class _LenientBatches(_MemoryRecordsPy):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, data: bytes, offset: int) -> None:
        super().__init__(data)
        self._offset = offset

    def next_batch(self) -> Any:
        while True:
            batch = self._next()
            if batch is None or batch.next_offset > self._offset:
                return batch

    def _next(self) -> Any:
        found = self._next_slice
        if found is None or found[self.MAGIC_OFFSET] < _V2:
            return super().next_batch()
        self._cache_next()
        return _LenientBatch(found)


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    _records: Any
    _records_iterator: Any

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None  # as in aiokafka: break the reference cycle
            raise
        except UNREADABLE:
            if not isinstance(self._records, Batches):
                raise
            self._records = self._records.lenient(self.next_fetch_offset)
            self._records_iterator = self._unpack_records()
            return next(self)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka has no types
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _LenientBytes(self._buffer)


class _LenientBytes(bytearray):
    """A batch's bytes. Only header names are decoded, each from a slice."""

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, place: slice, /) -> Self: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> int | bytearray:
        found = super().__getitem__(place)
        return found if isinstance(found, int) else type(self)(found)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        try:
            return super().decode(encoding, errors)
        except UnicodeDecodeError:
            return UnreadableName(super().decode(encoding, "backslashreplace"))


def record_of(found: Any) -> Record:
    """What aiokafka read, as our own type."""
    return Record(
        found.topic,
        found.partition,
        found.offset,
        found.timestamp,
        found.key,
        found.value,
        tuple(found.headers),
    )
