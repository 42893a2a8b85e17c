"""The ledger's Delta table: made, opened, checked, and its failures as errors with codes."""

from __future__ import annotations

from pathlib import Path

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from stores.ledger import durable
from stores.ledger.schema import LEDGER_VERSION, PARTITION_COLUMN, TABLE_SCHEMA

_VERSION_KEY = "lorikeet.ledgerVersion"
_HIGHEST_READER, _HIGHEST_WRITER = 3, 7  # of Delta's protocol, as delta-rs knows it


def open_table(path: Path) -> DeltaTable:
    """The table at `path`, made if there is none. Raises Unrecoverable with a code if it cannot be."""
    durable.set_aside_torn_entry(path)
    try:
        table = DeltaTable(path)
    except TableNotFoundError:
        return _create(path)
    except (DeltaError, OSError, ValueError) as error:
        code = Code.LEDGER_NEWER if _asks_for_more(error) else Code.LEDGER_UNREADABLE
        raise Unrecoverable(code, f"{path}: {_first_line(error)}") from error
    check_version(table, path)
    return table


def check_version(table: DeltaTable, path: Path) -> None:
    """Raises Unrecoverable(LEDGER_NEWER) for what this Lorikeet, or its delta-rs, cannot write."""
    stored = table.metadata().configuration.get(_VERSION_KEY) or "1"
    if not stored.isdecimal():
        raise Unrecoverable(Code.LEDGER_UNREADABLE, f"{path}: {_VERSION_KEY} is {stored[:20]!r}")
    if int(stored) > LEDGER_VERSION:
        raise Unrecoverable(
            Code.LEDGER_NEWER, f"{path} has version {stored}, this one reads {LEDGER_VERSION}"
        )
    asked = table.protocol()
    if asked.min_reader_version > _HIGHEST_READER or asked.min_writer_version > _HIGHEST_WRITER:
        raise Unrecoverable(
            Code.LEDGER_NEWER,
            f"{path} asks for a reader of Delta's protocol {asked.min_reader_version} and a writer"
            f" of {asked.min_writer_version}",
        )


def _create(path: Path) -> DeltaTable:
    try:
        path.mkdir(parents=True, exist_ok=True)
        table = DeltaTable.create(
            path,
            schema=TABLE_SCHEMA,
            mode="ignore",
            partition_by=[PARTITION_COLUMN],
            configuration={
                "delta.logRetentionDuration": "interval 30 days",
                # Partial column statistics make readers drop rows; Parquet's own are enough.
                "delta.dataSkippingNumIndexedCols": "0",
                _VERSION_KEY: str(LEDGER_VERSION),
            },
            raise_if_key_not_exists=False,
        )
    except CommitFailedError:  # another process made it meanwhile
        table = DeltaTable(path)
    except OSError as error:
        raise ledger_error(error, path) from error
    durable.sync_log(path, -1, table.version())
    durable.sync(path)
    return table


def ledger_error(error: DeltaError | OSError, path: Path) -> LorikeetError:
    """A failed update or commit as an error with a code.

    NotReady(LEDGER_FENCED) only where Delta found the commit in conflict with another one: then
    reading again from the ledger's offsets helps. Anything else would fail again.
    """
    said = _first_line(error)
    if isinstance(error, CommitFailedError) and said.startswith("Failed to commit transaction"):
        return NotReady(Code.LEDGER_FENCED, said)
    if getattr(error, "errno", None) == 28 or "No space left" in str(error):  # noqa: PLR2004 - ENOSPC
        return Unrecoverable(Code.DISK_FULL, str(path))
    if _asks_for_more(error):
        code = Code.LEDGER_NEWER
    elif isinstance(error, OSError | CommitFailedError):
        code = Code.UNWRITABLE
    else:
        code = Code.LEDGER_UNREADABLE
    return Unrecoverable(code, f"{path}: {said}")


def _asks_for_more(error: BaseException) -> bool:
    """Whether the table asks for a protocol version or feature that delta-rs lacks."""
    said = _first_line(error)
    return isinstance(error, DeltaError) and ("Unsupported" in said or "able features" in said)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
