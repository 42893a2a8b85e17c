"""Rows that the walk of the topics never meets: of partitions, or topics made anew, that no offset knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from consumers.reconcile import AHEAD, Offence, PartitionReport
from schemas.records import TopicPartition, partition_key
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.place import Place
from stores.ledger.scan import Scan, partition_rows, where

_PLACE = ("cluster", "topic", "partition", "incarnation")
_SUMS = [("offset", "count"), ("offset", "min"), ("offset", "max")]


def stray_rows(
    ledger: Path | Place,
    reader: DeltaLedgerReader,
    cluster: str,
    topics: Sequence[str],
    partition: int | None,
) -> list[PartitionReport]:
    """A report of each place whose rows lie at or above its stored offset, or that has none.

    No `topics`: all that the ledger holds. Offsets are read after the rows: they only grow.
    """
    wanted = where(topic=list(topics), partition=partition)
    places = list(_places(Scan(ledger), wanted))
    offsets = reader.offsets()
    found = [_report(ledger, cluster, place, offsets) for place in places]
    return [report for report in found if report.offences]


def _places(scan: Scan, wanted: Any) -> Iterator[Mapping[str, Any]]:
    """Each place that has rows: how many, and their least and greatest offset."""
    parts = [
        pa.Table.from_batches([batch]).group_by(list(_PLACE)).aggregate(_SUMS)
        for batch in scan.batches([*_PLACE, "offset"], wanted)
        if batch.num_rows
    ]
    if parts:
        again = [("offset_count", "sum"), ("offset_min", "min"), ("offset_max", "max")]
        yield from pa.concat_tables(parts).group_by(list(_PLACE)).aggregate(again).to_pylist()


def _report(
    ledger: Path | Place, cluster: str, place: Mapping[str, Any], offsets: Mapping[str, int]
) -> PartitionReport:
    of, topic, partition, number = (place[name] for name in _PLACE)
    stored = offsets.get(partition_key(of, topic, partition, number or 0))
    name = topic if of == cluster else f"{of}:{topic}"
    report = PartitionReport(name, partition, number or 0, 0, 0, stored)
    if stored is None:
        first = [place["offset_min_min"]]
        report.offences[AHEAD] = Offence(AHEAD, place["offset_count_sum"], first)
    elif place["offset_max_max"] >= stored:
        tp = TopicPartition(topic, partition)
        rows = partition_rows(ledger, of, tp, number or 0)
        report.offend(AHEAD, rows.offsets[rows.offsets >= stored])
    return report
