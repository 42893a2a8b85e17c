"""What the rest of Lorikeet needs from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.records import TopicPartition
from schemas.rows import Row


@dataclass(frozen=True, slots=True)
class Addition:
    """One commit that added rows: its table version, the rows, and the offsets it advanced to.

    `offsets` maps `cluster:topic:partition` to the next offset to read.
    """

    version: int
    rows: Sequence[Mapping[str, Any]]
    offsets: Mapping[str, int]


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


class LedgerReader(Protocol):
    """Reading what has been committed."""

    def offsets(self) -> dict[str, int]:
        """Next offset of every `cluster:topic:partition` known."""

    def rows(
        self, *, tenant: str | None = None, offsets: Mapping[str, int] | None = None
    ) -> Iterator[Row]:
        """Rows of a tenant below the given offsets (all of them without), in no order."""

    def additions(self, since: int, columns: Sequence[str]) -> Iterator[Addition]:
        """Commits after table version `since`, in order, with the columns asked for.

        Compactions are skipped: they change no row.
        """

    def version(self) -> int:
        """The newest table version."""
