"""The ledger that the seal is measured on: `seal_events`, curated and committed as ingest does it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from pathlib import Path

from benchmarks.curation.seal_events import PARTITIONS, TOPICS, records
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger.writer import DeltaLedgerWriter

CLUSTER, COMMIT = "bench", 50_000
_DAY, _PIECE, _PROCESSES = date(2026, 2, 1), 5_000, 2


def fill(ledger: Path, runs: int, commit: int = COMMIT) -> None:
    """Make a ledger of so many runs and plans and of what was said of them, so many rows a commit."""
    writer = DeltaLedgerWriter(ledger, CLUSTER, today=lambda: _DAY)
    writer.claim([TopicPartition(topic, part) for topic in TOPICS for part in range(PARTITIONS)])
    waiting: list[Row] = []
    for piece in _pieces(runs):
        waiting += piece
        while len(waiting) >= commit:
            _append(writer, waiting[:commit])
            waiting = waiting[commit:]
    if waiting:
        _append(writer, waiting)


def _pieces(runs: int) -> Iterator[list[Row]]:
    borders = [(at, min(at + _PIECE, runs)) for at in range(0, runs, _PIECE)]
    with multiprocessing.get_context("spawn").Pool(min(_PROCESSES, len(borders))) as pool:
        yield from pool.imap(_curated, borders)


@cache
def _curator() -> Curator:
    return Curator(CLUSTER, CurationPolicy(hmac_key=b"benchmark"))


def _curated(borders: tuple[int, int]) -> list[Row]:
    return [_curator().row(record) for record in records(*borders)]


def _append(writer: DeltaLedgerWriter, rows: Sequence[Row]) -> None:
    ends: dict[TopicPartition, int] = {}
    for row in rows:
        place = TopicPartition(row.topic, row.partition)
        ends[place] = max(ends.get(place, 0), row.offset + 1)
    writer.append(rows, ends)
