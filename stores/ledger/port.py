"""What the rest of Lorikeet needs from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger.gaps import Gap


@dataclass(frozen=True, slots=True)
class Addition:
    """One commit that added rows: its table version, the rows, and the offsets it advanced to.

    `offsets` maps `cluster:topic:partition` to the next offset to read; `gaps` are those it accepted.
    """

    version: int
    rows: Sequence[Mapping[str, Any]]
    offsets: Mapping[str, int]
    gaps: Sequence[Gap] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole ledger as of a version; `rows` can be walked once.

    `retired` are the tallies of the days that retention dropped, as they were handed over.
    """

    version: int
    rows: Iterable[Mapping[str, Any]]
    offsets: Mapping[str, int]
    gaps: Sequence[Gap]
    retired: Sequence[pa.Table]


class Batches(Protocol):
    """Rows as Arrow batches, in no order."""

    def batches(
        self, columns: Sequence[str], wanted: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows that are wanted, with the columns asked for."""


class LedgerWriter(Protocol):
    """One process's hold on some partitions.

    `claim` reads the stored next offsets and fences: after it, an `append` succeeds only if nobody
    else has moved those partitions since. `append` is atomic and durable: rows and offsets together
    or neither, and on disk when it returns.
    """

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The next offset of each partition; None where the ledger knows nothing of it."""

    def append(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Commit rows and next offsets. Raises NotReady(LEDGER_FENCED) if another writer moved."""

    def accept_gap(
        self, tp: TopicPartition, start: int, *, anew: bool, note: Mapping[str, str]
    ) -> Gap:
        """Move the next offset forward without rows, on record."""


class LedgerReader(Protocol):
    """Reading what has been committed."""

    def identity(self) -> tuple[str, int]:
        """The table's id and its newest version."""

    def offsets(self) -> dict[str, int]:
        """Next offset of every `cluster:topic:partition` known."""

    def rows(
        self, *, tenant: str | None = None, offsets: Mapping[str, int] | None = None
    ) -> Iterator[Row]:
        """Rows of a tenant below the given offsets (all of them without), in no order."""

    def additions(self, since: int, columns: Sequence[str]) -> Iterator[Addition]:
        """Commits after table version `since`, in order, with the columns asked for.

        Compactions are skipped: they change no row. Raises LogExpired if the log begins later.
        """

    def snapshot(self, columns: Sequence[str]) -> Snapshot:
        """Everything as of the newest version, for counting anew."""

    def version(self) -> int:
        """The newest table version."""
