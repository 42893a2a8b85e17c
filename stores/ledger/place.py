"""Where a ledger lies: a folder of this machine, or a prefix of an S3 bucket.

Data files go through a place, Delta's log entries through delta-rs; the place makes both durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.fs as pa_fs

from stores.ledger.durable import LOG

ROW_GROUP = 20_000
"""Rows of a row group: what a reader of one partition or of a short window can leave out."""

Fault = Callable[[str], None]
"""Called with the name of each step that was done; tests end the process in it."""


def no_fault(_step: str) -> None:
    """Go on."""


class Item(NamedTuple):
    """One file: its name below the place, size in bytes, and when it was written (seconds, UTC)."""

    name: str
    size: int
    modified: float


class Place(Protocol):
    """Files below one root. Names use `/` and never begin with one."""

    @property
    def uri(self) -> str:
        """The root, as delta-rs takes it."""

    @property
    def options(self) -> Mapping[str, str]:
        """How delta-rs reaches it."""

    @property
    def files(self) -> pa_fs.FileSystem | None:
        """How Arrow reaches the root by itself; None: through delta-rs alone."""

    def make(self) -> None:
        """Make the root, durably."""

    def mend(self) -> None:
        """Set aside what a power cut left half written at the end of the log."""

    def write(self, name: str, table: pa.Table) -> int:
        """Write a new Parquet file; its size in bytes. Durable only after `sync`."""

    def sync(self, names: Iterable[str]) -> None:
        """These files, and their folders, survive a power cut once this returns."""

    def open(self, name: str) -> pa.NativeFile:
        """A file for reading at random. Raises FileNotFoundError."""

    def read(self, name: str) -> bytes:
        """A file's content. Raises FileNotFoundError."""

    def items(self, folder: str, after: str = "") -> Iterator[Item]:
        """Files below a folder (`""`: all) whose names lie above `after`, in any order."""

    def delete(self, name: str) -> None:
        """Delete a file; none is fine too."""


def entry_name(version: int) -> str:
    """The log entry of a table version."""
    return f"{LOG}/{version:020}.json"
