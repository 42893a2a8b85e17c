"""Compaction: the small files of one day become few large ones.

Our own, since delta-rs's makes no fsync and does not notice that another commit removed the same files.
Rows are ordered so that a reader of one partition leaves out the row groups of the others.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from stores.ledger.commit import remove
from stores.ledger.damage import parsing
from stores.ledger.files import DataFile, add_action, data_files, remove_action
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.schema import PARTITION_COLUMN, fit, ordered
from stores.ledger.table import open_table

COMPACT_STEPS = ("files_read", "data_written", "data_synced", "committed", "log_synced")
"""The steps of merging one group of files, in order; a fault hook is called after each."""
TARGET_BYTES = 128 * 1024 * 1024
_MEMORY_BYTES = 512 * 1024 * 1024
_TIER = 4


def compact(place: Place, least: int, *, closed: str, fault: Fault = no_fault) -> int:
    """Merge groups of at least `least` small files; how many files were merged.

    Days before `closed` (an ISO date) get no more files: two are enough there. Raises
    NotReady(LEDGER_FENCED) if files of a group were removed meanwhile; nothing is lost then.
    """
    merged = 0
    table = open_table(place)
    for group in groups(data_files(table), least, closed):
        merged += _merge(table, place, group, fault)
    return merged


def groups(files: Sequence[DataFile], least: int, closed: str) -> Iterator[list[DataFile]]:
    """Files to merge with one another, each group of one day and of about the target's size.

    While a day is open a file joins only files that are not much smaller than it, so that a rewrite
    makes files many times larger and a row is rewritten a few times, not once a compaction.
    """
    for day in sorted({file.day for file in files}):
        needed = 2 if day < closed else least
        group: list[DataFile] = []
        total = 0
        for file in sorted(files, key=lambda f: (f.size, f.name)):
            if file.day != day or file.size > TARGET_BYTES // 2:
                continue
            unlike = day >= closed and group and file.size * len(group) > _TIER * total
            if unlike or total + file.size > TARGET_BYTES:
                if len(group) >= needed:
                    yield group
                group, total = [], 0
            group.append(file)
            total += file.size
        if len(group) >= needed:
            yield group


def _merge(table: DeltaTable, place: Place, group: Sequence[DataFile], fault: Fault) -> int:
    parts, read = [], []
    for file in group:
        parts.append(_rows(place, file))
        read.append(file)
        if sum(part.nbytes for part in parts) > _MEMORY_BYTES:
            break
    if len(read) < 2:  # noqa: PLR2004 - one large file has nothing to be merged with
        return 0
    rows = fit(ordered(pa.concat_tables(parts, promote_options="permissive")), table)
    fault("files_read")
    day = group[0].day
    name = f"{PARTITION_COLUMN}={day}/{uuid.uuid4()}.parquet"
    size = place.write(name, rows)
    fault("data_written")
    place.sync([name])
    fault("data_synced")
    removed = [remove_action(file, data_change=False) for file in read]
    added = add_action(name, size, day, rows.num_rows, data_change=False)
    remove(table, place, [added, *removed], fault)
    return len(read)


def _rows(place: Place, file: DataFile) -> pa.Table:
    with parsing(place, file.name), place.open(file.name) as source:
        return pq.ParquetFile(source).read()
