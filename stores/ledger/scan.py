"""Scanning the ledger with bounded memory: Arrow batches, and one partition's rows as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import TopicPartition
from schemas.rows import Disposition
from stores.ledger import log
from stores.ledger.damage import scanning
from stores.ledger.files import DataFile, data_files
from stores.ledger.place import Place
from stores.ledger.retirement import retired_of
from stores.ledger.table import dataset_of, open_table, place_of

Offsets = np.ndarray[Any, np.dtype[np.int64]]
DISPOSITIONS = tuple(str(one) for one in Disposition)
UNKNOWN = -1
"""The code of what is none of DISPOSITIONS, such as null."""
_BATCH = 8_192
_DIGITS = 18
"""No offset has more."""
_HEX = "S64"  # SHA-256 as hexadecimal digits


class Scan:
    """One version of the ledger, read a few thousand rows at a time with few files open at once."""

    def __init__(self, place: Path | Place) -> None:
        """The newest version. Raises Unrecoverable(NO_SUCH_FILE) where no ledger is: none is made."""
        self._place = place_of(place)
        self._table = open_table(self._place, make=False)
        self._data = dataset_of(self._table, self._place)
        self.version = self._table.version()

    def batches(
        self, columns: Sequence[str], wanted: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Rows, in no order. Raises Unrecoverable(LEDGER_UNREADABLE), as `count` does."""
        with scanning(self._table, self._place):
            yield from self._data.to_batches(
                columns=list(columns),
                filter=wanted,
                batch_size=_BATCH,
                batch_readahead=2,
                fragment_readahead=1,
            )

    def count(self, wanted: pc.Expression | None = None) -> int:
        """How many rows."""
        with scanning(self._table, self._place):
            return int(self._data.count_rows(filter=wanted))

    def files(self) -> list[DataFile]:
        """The data files, the smallest first."""
        return data_files(self._table)


def where(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    below: int | None = None,
    **values: Any,
) -> pc.Expression | None:
    """Rows whose columns have these values (a sequence allows any of its own). None: no condition.

    `since` is the first moment of Kafka's time, `until` the one after the last; `below` bounds offsets.
    """
    known = [_matches(name, value) for name, value in values.items() if value not in (None, (), [])]
    if since is not None:
        known.append(pc.field("timestamp") >= _milliseconds(since))
    if until is not None:
        known.append(pc.field("timestamp") < _milliseconds(until))
    if below is not None:
        known.append(pc.field("offset") < below)
    return _all(*known) if known else None


def at(row_ids: Iterable[str]) -> pc.Expression:
    """Rows at the offsets at which these ids end; rows of other partitions may have them too."""
    ends = {row_id.rpartition(":")[2] for row_id in row_ids}
    offsets = sorted(int(end) for end in ends if end.isdecimal() and len(end) <= _DIGITS)
    return pc.field("offset").isin(pa.array(offsets, pa.int64()))


def _all(*conditions: pc.Expression) -> pc.Expression:
    return reduce(and_, conditions)


def _matches(name: str, value: Any) -> pc.Expression:
    if isinstance(value, list | tuple):
        return pc.field(name).isin([str(one) for one in value])
    return pc.field(name) == value


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class PartitionRows:
    """One partition's rows in offset order: about 80 bytes each.

    `offsets` and `sizes` are int64, `dispositions` int8 into DISPOSITIONS (or UNKNOWN), `digests` 64 hexadecimal
    digits; all of one length.
    """

    offsets: Offsets
    dispositions: np.ndarray[Any, np.dtype[np.int8]]
    sizes: Offsets
    digests: np.ndarray[Any, np.dtype[np.bytes_]]

    def between(self, first: int, end: int) -> slice:
        """The places of the rows with offsets in [first, end)."""
        found = np.searchsorted(self.offsets, (first, end))
        return slice(int(found[0]), int(found[1]))

    def doubled(self) -> Offsets:
        """Offsets of the rows that are not the first of their offset."""
        again = self.offsets[1:] == self.offsets[:-1]
        found: Offsets = self.offsets[1:][again]
        return found


def partition_rows(
    place: Path | Place, cluster: str, tp: TopicPartition, incarnation: int = 0
) -> PartitionRows:
    """The rows of one partition of one cluster."""
    number = pc.coalesce(pc.field("incarnation"), 0)  # null in rows from before it was counted
    wanted = _all(
        _matches("cluster", cluster),
        _matches("topic", tp.topic),
        _matches("partition", tp.partition),
        number == incarnation,
    )
    columns = ("offset", "disposition", "size", "digest")
    parts = [_arrays(batch) for batch in Scan(place).batches(columns, wanted)]
    kinds: tuple[Any, ...] = (np.int64, np.int8, np.int64, _HEX)
    columns_of = list(zip(*parts, strict=True)) or [()] * len(kinds)
    whole = [
        np.concatenate(column) if column else np.empty(0, kind)
        for column, kind in zip(columns_of, kinds, strict=True)
    ]
    order = np.argsort(whole[0], kind="stable")
    return PartitionRows(*(column[order] for column in whole))


def _arrays(batch: pa.RecordBatch) -> tuple[Any, ...]:
    codes = pc.fill_null(pc.index_in(batch["disposition"], pa.array(DISPOSITIONS)), UNKNOWN)
    return (
        batch["offset"].to_numpy(),
        codes.to_numpy(zero_copy_only=False).astype(np.int8),
        batch["size"].to_numpy(),
        batch["digest"].to_numpy(zero_copy_only=False).astype(_HEX),
    )


def any_retired(place: Path | Place) -> bool:
    """Whether retention has dropped days of ingest, and with them each partition's oldest rows."""
    return bool(retired_of(log.state(place_of(place)).transactions))
