"""Emptying rows where they lie: a day's files are written anew without what was erased, then removed.

Which rows, and what is left of them, is the caller's business. How many rows a commit emptied is a Delta
transaction id in that same commit: it outlives the log, so that whatever interrupts this, the sums are right.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from stores.ledger import log
from stores.ledger.commit import OWN, remove
from stores.ledger.damage import parsing
from stores.ledger.files import DataFile, add_action, data_files, remove_action
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.retirement import retired_of
from stores.ledger.schema import PARTITION_COLUMN, fit
from stores.ledger.table import open_table
from stores.ledger.vacuum import vacuum

EMPTY_STEPS = ("data_written", "data_synced", "committed", "log_synced")
"""The steps of emptying rows of one day, in order; a fault hook is called after each."""
_ERASED = f"{OWN}erased:"
_ROWS, _FILES = "rows", "files"
_MEMORY_BYTES = 256 * 1024 * 1024
_ABANDONED_SECONDS = 3_600.0
"""A file that no commit named within an hour is of a writer that was killed."""


class Outcome(Protocol):
    """What emptying gives: the table, and how many rows it emptied, by erasure."""

    @property
    def table(self) -> pa.Table:
        """As many rows as before, in their order."""

    @property
    def rows(self) -> Counter[str]:
        """None if the table is as it was."""


class Emptying(Protocol):
    """Which rows are emptied, and how."""

    @property
    def columns(self) -> Sequence[str]:
        """What `concerns` looks at."""

    def concerns(self, keys: pa.Table) -> bool:
        """Whether a file with these columns may have to be written anew."""

    def __call__(self, rows: pa.Table) -> Outcome:
        """Rows with all their columns, emptied."""


class Erased(NamedTuple):
    """What one erasure emptied, by day of ingest: rows, and files that were written anew for it."""

    rows: dict[str, int]
    files: dict[str, int]


def days(place: Place) -> list[str]:
    """The days of ingest that the ledger holds."""
    return sorted({file.day for file in data_files(open_table(place))})


def keys(
    place: Place, columns: Sequence[str], among: frozenset[str] | None = None
) -> Iterator[pa.Table]:
    """These columns of each file, of those named only if any are; a file at a time."""
    for file in data_files(open_table(place)):
        if among is None or file.name in among:
            yield _columns(place, file, columns)


def empty(place: Place, day: str, emptying: Emptying, fault: Fault = no_fault) -> int:
    """Empty rows of one day, in one commit; how many files were written anew.

    Raises NotReady(LEDGER_FENCED) if files of the day were removed meanwhile; nothing is changed then.
    """
    table = open_table(place)
    actions: list[AddAction | RemoveAction] = []
    written: list[str] = []
    rows: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for file in [file for file in data_files(table) if file.day == day]:
        if not emptying.concerns(_columns(place, file, emptying.columns)):
            continue
        added, counts = _rewrite(place, table, file, emptying)
        written += [action.path for action in added]
        if counts:
            actions += [*added, remove_action(file, data_change=False)]
            rows.update(counts)
            files.update(counts.keys())
    if not actions:
        return 0
    fault("data_written")
    place.sync(written)
    fault("data_synced")
    remove(table, place, actions, fault, _sums(table, day, rows, files))
    return sum(isinstance(action, RemoveAction) for action in actions)


def erased(place: Place, name: str) -> Erased:
    """What an erasure has emptied, as the ledger itself says."""
    found = Erased({}, {})
    for key, count in log.state(place).transactions.items():
        erasure, _, rest = key.removeprefix(_ERASED).partition(":")
        if key.startswith(_ERASED) and erasure == name:
            day, _, what = rest.rpartition(":")
            (found.rows if what == _ROWS else found.files)[day] = count
    return found


def fresh(place: Place, since: int) -> frozenset[str]:
    """The files that commits after a version added. Raises LogExpired."""
    return frozenset(
        action["add"]["path"]
        for _, actions in log.entries(place, since)
        for action in actions
        if "add" in action
    )


def purge(place: Place, fault: Fault = no_fault) -> int:
    """Delete every file that the log calls removed, now; how many. Readers of older versions lose them.

    Files that compaction and retention removed are among them: they hold what was erased too. So are, after
    an hour, those of commits that were never made.
    """
    items = [item.name for item in place.items("")]
    table = open_table(place)
    found = log.state(place, table.version())
    used = {file.name for file in data_files(table)} | set(retired_of(found.transactions))
    gone = [name for name in items if name in found.removed and name not in used]
    for name in gone:
        place.delete(name)
        fault("file_deleted")
    place.sync(gone)
    return len(gone) + vacuum(place, fault, keep_seconds=_ABANDONED_SECONDS)


def _columns(place: Place, file: DataFile, columns: Sequence[str]) -> pa.Table:
    with parsing(place, file.name), place.open(file.name) as source:
        stored = pq.ParquetFile(source)
        return stored.read(columns=[c for c in columns if c in stored.schema_arrow.names])


def _rewrite(
    place: Place, table: DeltaTable, file: DataFile, emptying: Emptying
) -> tuple[list[AddAction], Counter[str]]:
    """The files that take a file's place, none of them too large to be held, and what they emptied."""
    rows: Counter[str] = Counter()
    added: list[AddAction] = []
    for part in _parts(place, file):
        outcome = emptying(part)
        rows.update(outcome.rows)
        name = f"{PARTITION_COLUMN}={file.day}/{uuid.uuid4()}.parquet"
        size = place.write(name, fit(outcome.table, table))
        added.append(add_action(name, size, file.day, part.num_rows, data_change=False))
    if not rows:
        for action in added:
            place.delete(action.path)
        return [], rows
    return added, rows


def _parts(place: Place, file: DataFile) -> Iterator[pa.Table]:
    with parsing(place, file.name), place.open(file.name) as source:
        stored = pq.ParquetFile(source)
        held: list[pa.Table] = []
        for number in range(stored.num_row_groups):
            held.append(stored.read_row_group(number))
            if sum(part.nbytes for part in held) > _MEMORY_BYTES:
                yield pa.concat_tables(held)
                held = []
        if held:
            yield pa.concat_tables(held)


def _sums(
    table: DeltaTable, day: str, rows: Mapping[str, int], files: Mapping[str, int]
) -> dict[str, int]:
    sums = {}
    for what, counts in ((_ROWS, rows), (_FILES, files)):
        for name, count in counts.items():
            key = f"{_ERASED}{name}:{day}:{what}"
            sums[key] = (table.transaction_version(key) or 0) + count
    return sums
