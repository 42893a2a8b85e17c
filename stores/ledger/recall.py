"""Reading back what was seen of many partitions at once, with bounded memory.

First numbers alone (a few milliseconds a million rows) tell which rows matter; then their identities
are read, once for all partitions. What lies in many small files, for it is not compacted yet, is read once
and kept: a file costs about a millisecond each time, whatever it holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, reduce
from operator import or_
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable

from schemas.records import TopicPartition
from stores.ledger.damage import scanning
from stores.ledger.files import data_files
from stores.ledger.place import Place
from stores.ledger.schema import FILE_SCHEMA
from stores.ledger.table import dataset_of, open_table

_BATCH = 65_536
_READERS, _ASKED = 8, 64
_PLACE = ("topic", "partition")
_KEPT = (
    "cluster",
    *_PLACE,
    "incarnation",
    "offset",
    "timestamp",
    "tenant",
    "source",
    "id",
    "digest",
)
"""The columns that are kept of small files: all that anyone asks for."""


class Extent(NamedTuple):
    """A block of a partition's rows: lowest and highest Kafka timestamp, the greatest offset."""

    number: int
    low: int
    high: int
    last: int


class Recall:
    """One version of the ledger; of each partition, the rows of one incarnation."""

    def __init__(
        self, place: Place, cluster: str, incarnations: Mapping[TopicPartition, int]
    ) -> None:
        self._place = place
        self._table = open_table(place)
        self._data = dataset_of(self._table, place)
        self._cluster = cluster
        self._incarnations = incarnations
        self._small = _smallest(self._table)

    @cached_property
    def _sources(self) -> Sequence[ds.Dataset]:
        """All files, the small ones as rows in memory."""
        large = [f for f in self._data.get_fragments() if f.path.lstrip("/") not in self._small]
        kind, files = self._data.format, self._data.filesystem
        empty = pa.schema([FILE_SCHEMA.field(name) for name in _KEPT]).empty_table()
        kept = pa.concat_tables([empty, *self._few_rows()], promote_options="permissive")
        return (
            ds.dataset(kept.combine_chunks()),
            ds.FileSystemDataset(large, self._data.schema, kind, files),
        )

    def _few_rows(self) -> Iterator[pa.Table]:
        """The small files' rows. Files are asked for together, since each may be a request to S3."""
        names = sorted(self._small)
        with ThreadPoolExecutor(_READERS) as pool:
            for begin in range(0, len(names), _ASKED):
                yield from map(
                    _kept_columns, pool.map(self._place.read, names[begin : begin + _ASKED])
                )

    def extents(
        self, firsts: Mapping[TopicPartition, int], size: int
    ) -> dict[TopicPartition, list[Extent]]:
        """The blocks of `size` offsets of each partition from its offset in `firsts` on."""
        blocks = pc.divide(pc.field("offset"), size)
        columns = {name: pc.field(name) for name in (*_PLACE, "offset", "timestamp")}
        found: dict[tuple[TopicPartition, int], Extent] = {}
        for batch in self._batches({**columns, "block": blocks}, firsts):
            for tp, one in _grouped(batch):
                known = found.get((tp, one.number), one)
                found[tp, one.number] = Extent(
                    one.number,
                    min(one.low, known.low),
                    max(one.high, known.high),
                    max(one.last, known.last),
                )
        grouped: dict[TopicPartition, list[Extent]] = {}
        for (tp, _), extent in found.items():
            grouped.setdefault(tp, []).append(extent)
        return grouped

    def rows(
        self, firsts: Mapping[TopicPartition, int], columns: Sequence[str]
    ) -> Iterator[tuple[TopicPartition, pa.RecordBatch]]:
        """The rows of each partition from its offset in `firsts` on, in no order."""
        named = {name: pc.field(name) for name in dict.fromkeys((*_PLACE, *columns))}
        for batch in self._batches(named, firsts):
            places = pa.Table.from_batches([batch]).group_by(list(_PLACE)).aggregate([])
            for tp in _partitions(places):
                here = pc.and_(
                    pc.equal(batch["topic"], tp.topic), pc.equal(batch["partition"], tp.partition)
                )
                yield tp, batch.filter(here)

    def _batches(
        self, columns: Mapping[str, pc.Expression], firsts: Mapping[TopicPartition, int]
    ) -> Iterator[pa.RecordBatch]:
        """Raises Unrecoverable(LEDGER_UNREADABLE) where a file is damaged."""
        with scanning(self._table, self._place):
            yield from self._scanned(columns, firsts)

    def _scanned(
        self, columns: Mapping[str, pc.Expression], firsts: Mapping[TopicPartition, int]
    ) -> Iterator[pa.RecordBatch]:
        if not firsts:
            return
        wanted = reduce(or_, (self._of(tp, first) for tp, first in firsts.items()))
        for source in self._sources:
            yield from _gathered(
                source.to_batches(
                    columns=dict(columns),
                    filter=(pc.field("cluster") == self._cluster) & wanted,
                    batch_size=_BATCH,
                    batch_readahead=2,
                    fragment_readahead=2,
                )
            )

    def _of(self, tp: TopicPartition, first: int) -> pc.Expression:
        number = pc.coalesce(pc.field("incarnation"), 0)  # null in rows from before it was counted
        return (
            (pc.field("topic") == tp.topic)
            & (pc.field("partition") == tp.partition)
            & (pc.field("offset") >= first)
            & (number == self._incarnations[tp])
        )


def _smallest(table: DeltaTable) -> set[str]:
    """The names of the smallest files, as many as have _BATCH rows together."""
    files = data_files(table)
    held = itertools.accumulate(file.rows for file in files)
    return {file.name for file, rows in zip(files, held, strict=True) if rows <= _BATCH}


def _kept_columns(data: bytes) -> pa.Table:
    """A file's rows; columns that came after it was written are left out."""
    stored = pq.ParquetFile(pa.BufferReader(data))
    known = [column for column in _KEPT if column in stored.schema_arrow.names]
    return stored.read(columns=known, use_threads=False)


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about _BATCH."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= _BATCH:
            yield pa.concat_batches(held)
            held, rows = [], 0
    if rows:
        yield pa.concat_batches(held)


def _grouped(batch: pa.RecordBatch) -> Iterator[tuple[TopicPartition, Extent]]:
    wanted = [("timestamp", "min"), ("timestamp", "max"), ("offset", "max")]
    table = pa.Table.from_batches([batch]).group_by([*_PLACE, "block"]).aggregate(wanted)
    names = ("block", "timestamp_min", "timestamp_max", "offset_max")
    columns = [table[name].to_pylist() for name in names]
    for tp, *numbers in zip(_partitions(table), *columns, strict=True):
        yield tp, Extent(*numbers)


def _partitions(table: pa.Table) -> list[TopicPartition]:
    columns: list[list[Any]] = [table[name].to_pylist() for name in _PLACE]
    return [TopicPartition(*place) for place in zip(*columns, strict=True)]
