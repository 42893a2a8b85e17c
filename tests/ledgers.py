"""Ledgers with something in them, for tests of the ledger and of what reads it."""

from __future__ import annotations

import tarfile
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa

from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.place import Fault, Place, no_fault
from tests.support import row

TOPIC = "execution.completed"
TP, OTHER = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
DAY = date(2026, 3, 1)
_DATA = Path(__file__).parent / "stores" / "data"
OLD = {1: "ledger_9a6207e.tar.gz", 2: "ledger_3c6de79.tar.gz"}
"""By version, and named by the revision that wrote it: three commits of two rows of two partitions."""


def rows(start: int, end: int, partition: int = 0) -> list[Row]:
    """Rows of one partition with offsets in [start, end)."""
    return [row(n, partition=partition, id=f"{partition}-{n}") for n in range(start, end)]


def writer(where: Path | Place, day: date = DAY, *, fault: Fault = no_fault) -> DeltaLedgerWriter:
    """A writer of one day that has claimed both partitions."""
    found = DeltaLedgerWriter(where, "c", today=lambda: day, fault=fault)
    found.claim([TP, OTHER])
    return found


def fill(where: Path | Place, commits: int, day: date = DAY, size: int = 2) -> None:
    """Commits of both partitions, from where the ledger is."""
    ledger = writer(where, day)
    for _ in range(commits):
        starts = {tp: start or 0 for tp, start in ledger.claim([TP, OTHER]).items()}
        batch = [r for tp, s in starts.items() for r in rows(s, s + size, tp.partition)]
        ledger.append(batch, {tp: start + size for tp, start in starts.items()})


def places(where: Path | Place) -> Counter[tuple[int, int]]:
    """How often each (partition, offset) is there."""
    found: pa.Table = DeltaLedgerReader(where).table(["partition", "offset"])
    return Counter(zip(*(found.column(n).to_pylist() for n in found.column_names), strict=True))


def whole(where: Path | Place, ends: int) -> bool:
    """Whether both partitions have each row below an offset once, and no other."""
    return places(where) == Counter({(p, o): 1 for p in (0, 1) for o in range(ends)})


def unpacked(folder: Path, version: int) -> Path:
    """A ledger of an older version, in `folder`."""
    with tarfile.open(_DATA / OLD[version]) as packed:
        packed.extractall(folder)
    return folder
