"""The ledger's Delta table: made, opened, checked, brought up to date, and its failures as errors."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from stores.ledger.local import LocalPlace
from stores.ledger.place import Place, entry_name
from stores.ledger.schema import LEDGER_VERSION, PARTITION_COLUMN, TABLE_SCHEMA, widened

VERSION_KEY = "lorikeet.ledgerVersion"
_HIGHEST_READER, _HIGHEST_WRITER = 3, 7  # of Delta's protocol, as delta-rs knows it
_RACES = 20
_CONFLICT, _STALE = "Failed to commit transaction", "Invalid table version"
_DELETED = "deleted data this operation read"


class DayDropped(NotReady):
    """A commit met one that drops rows, which Delta takes for a conflict: it can be made again."""


def place_of(place: Path | Place) -> Place:
    """A folder of this machine as a place."""
    return LocalPlace(place) if isinstance(place, Path) else place


def open_table(where: Path | Place, *, make: bool = True) -> DeltaTable:
    """The table, made if there is none (and `make`), with all of today's columns.

    Raises Unrecoverable with a code if it cannot be read, or was written by a newer Lorikeet.
    """
    place = place_of(where)
    for _ in range(_RACES):
        table = _open(place, make=make)
        check_version(table, place)
        if _is_current(table, place) or _evolve(table, place):
            return table
    raise NotReady(Code.LEDGER_FENCED, f"{place.uri} changes all the time")


def dataset_of(table: DeltaTable, place: Place) -> ds.Dataset:
    """The table's rows for Arrow to scan.

    Arrow reads a folder's files by itself. Through delta-rs its threads call Python for every read, and a
    process that ends while one still does, such as after a scan that was not read to its end, is aborted or
    hangs.
    """
    return table.to_pyarrow_dataset(filesystem=place.files)


def check_version(table: DeltaTable, place: Place) -> None:
    """Raises Unrecoverable(LEDGER_NEWER) for what this Lorikeet, or its delta-rs, cannot write."""
    stored = _version(table)
    if not stored.isdecimal():
        raise Unrecoverable(
            Code.LEDGER_UNREADABLE, f"{place.uri}: {VERSION_KEY} is {stored[:20]!r}"
        )
    if int(stored) > LEDGER_VERSION:
        raise Unrecoverable(
            Code.LEDGER_NEWER, f"{place.uri} has version {stored}, this one reads {LEDGER_VERSION}"
        )
    asked = table.protocol()
    if asked.min_reader_version > _HIGHEST_READER or asked.min_writer_version > _HIGHEST_WRITER:
        raise Unrecoverable(
            Code.LEDGER_NEWER,
            f"{place.uri} asks for a reader of Delta's protocol {asked.min_reader_version} and a"
            f" writer of {asked.min_writer_version}",
        )


def sync_log(place: Place, after: int, until: int) -> None:
    """The log entries in (after, until] survive a power cut once this returns."""
    place.sync([entry_name(version) for version in range(after + 1, until + 1)])


def _open(place: Place, *, make: bool) -> DeltaTable:
    try:
        place.mend()
        return DeltaTable(place.uri, storage_options=dict(place.options))
    except TableNotFoundError:
        if not make:
            raise Unrecoverable(
                Code.NO_SUCH_FILE,
                f"{place.uri}: no ledger is here",
                remedy="check --data or --config",
            ) from None
        return _create(place)
    except (DeltaError, OSError, ValueError) as error:
        code = Code.LEDGER_NEWER if _asks_for_more(error) else Code.LEDGER_UNREADABLE
        raise Unrecoverable(code, f"{place.uri}: {_first_line(error)}") from error


def _create(place: Place) -> DeltaTable:
    try:
        place.make()
        table = DeltaTable.create(
            place.uri,
            schema=TABLE_SCHEMA,
            mode="ignore",
            partition_by=[PARTITION_COLUMN],
            configuration={
                "delta.logRetentionDuration": "interval 30 days",
                # Partial column statistics make readers drop rows; Parquet's own are enough.
                "delta.dataSkippingNumIndexedCols": "0",
                VERSION_KEY: str(LEDGER_VERSION),
            },
            storage_options=dict(place.options),
            raise_if_key_not_exists=False,
        )
    except CommitFailedError:  # another process made it meanwhile
        table = DeltaTable(place.uri, storage_options=dict(place.options))
    except (DeltaError, OSError) as error:
        raise ledger_error(error, place) from error
    sync_log(place, -1, table.version())
    return table


def _is_current(table: DeltaTable, place: Place) -> bool:
    return int(_version(table)) == LEDGER_VERSION and not _missing(table, place)


def _missing(table: DeltaTable, place: Place) -> list[Field]:
    """Our columns that the table lacks. Raises Unrecoverable(LEDGER_COLUMN) for unlike types."""
    known = {field.name: field for field in table.schema().fields}
    missing = []
    for field in Schema.from_arrow(TABLE_SCHEMA).fields:
        if field.name not in known:
            missing.append(field)
        elif not widened(field, known[field.name]):
            detail = f"{place.uri}: {field.name} is {known[field.name].type}, not {field.type}"
            raise Unrecoverable(Code.LEDGER_COLUMN, detail)
    return missing


def _evolve(table: DeltaTable, place: Place) -> bool:
    """Add the columns that came since, then say so; False if somebody else did at the same time.

    Old rows have nulls there. A writer of the older version meets a conflict at its next commit, and
    LEDGER_NEWER when it claims again.
    """
    before = table.version()
    try:
        if missing := _missing(table, place):
            table.alter.add_columns(missing, commit_properties=_once())
            table.update_incremental()
        table.alter.set_table_properties(
            {VERSION_KEY: str(LEDGER_VERSION)},
            raise_if_not_exists=False,
            commit_properties=_once(),
        )
        table.update_incremental()
        sync_log(place, before, table.version())
    except CommitFailedError:
        return False
    except (DeltaError, OSError) as error:
        raise ledger_error(error, place) from error
    return True


def _once() -> CommitProperties:
    return CommitProperties(max_commit_retries=1)


def ledger_error(error: DeltaError | OSError, place: Place) -> LorikeetError:
    """A failed update or commit as an error with a code.

    NotReady(LEDGER_FENCED) only where Delta found the commit in conflict with another one, or where
    the handle slept until log entries it needs were deleted: then claiming, and reading again from the
    ledger's offsets, helps. Anything else would fail again.
    """
    said = _first_line(error)
    if isinstance(error, CommitFailedError) and _DELETED in said:
        return DayDropped(Code.LEDGER_FENCED, said)
    refused = isinstance(error, CommitFailedError) and said.startswith(_CONFLICT)
    if refused or said.startswith(_STALE):
        return NotReady(Code.LEDGER_FENCED, said)
    if getattr(error, "errno", None) == 28 or "No space left" in str(error):  # noqa: PLR2004 - ENOSPC
        return Unrecoverable(Code.DISK_FULL, place.uri)
    if _asks_for_more(error):
        code = Code.LEDGER_NEWER
    elif isinstance(error, OSError | CommitFailedError):
        code = Code.UNWRITABLE
    else:
        code = Code.LEDGER_UNREADABLE
    return Unrecoverable(code, f"{place.uri}: {said}")


def _version(table: DeltaTable) -> str:
    return table.metadata().configuration.get(VERSION_KEY) or "1"


def _asks_for_more(error: BaseException) -> bool:
    """Whether the table asks for a protocol version or feature that delta-rs lacks."""
    said = _first_line(error)
    return isinstance(error, DeltaError) and ("Unsupported" in said or "able features" in said)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
