"""Data files that are missing, cut short or changed: which one it is, as an error with a code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from schemas.errors import Code, NotReady, Unrecoverable
from stores.ledger.files import data_files
from stores.ledger.place import Place
from stores.ledger.schema import PARTITION_COLUMN

_NAME = re.compile(rf"{PARTITION_COLUMN}=[^/']*/[^/']*\.parquet")
_STORE = "Generic S3 error"  # the store's own fault, whatever file it names


@contextmanager
def scanning(table: DeltaTable, place: Place) -> Iterator[None]:
    """Raises Unrecoverable(LEDGER_UNREADABLE) if a scan inside meets a file that cannot be read.

    NotReady(LEDGER_REWRITTEN) where an erasure has taken the file away: the newest version can be read.
    """
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        name = _named(error) or _damaged(table, place)
        if name is None:
            raise
        if isinstance(error, FileNotFoundError) and _was_replaced(place, name):
            raise NotReady(Code.LEDGER_REWRITTEN, place.uri) from error
        raise _unreadable(place, name, error) from error


@contextmanager
def parsing(place: Place, name: str) -> Iterator[None]:
    """The same for one file by its name. A missing one stays FileNotFoundError: it may be replaced."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(place, name, error) from error


def _was_replaced(place: Place, name: str) -> bool:
    newest = DeltaTable(place.uri, storage_options=dict(place.options))
    return name not in {file.name for file in data_files(newest)}


def _named(error: Exception) -> str | None:
    said = str(error)
    found = None if said.startswith(_STORE) else _NAME.search(said)
    return found[0] if found else None


def _damaged(table: DeltaTable, place: Place) -> str | None:
    """The first file without a whole footer: some errors name none."""
    for file in data_files(table):
        try:
            with place.open(file.name) as source:
                pq.ParquetFile(source)
        except (pa.ArrowInvalid, FileNotFoundError):
            return file.name
    return None


def _unreadable(place: Place, name: str, error: Exception) -> Unrecoverable:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    said = line.rpartition("': ")[2].partition(". ")[0][:160]  # without the name, once more
    missing = isinstance(error, FileNotFoundError)
    return Unrecoverable(
        Code.LEDGER_UNREADABLE, f"{place.uri}/{name}: {'the file is missing' if missing else said}"
    )
