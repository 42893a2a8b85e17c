"""The erasures that ingest has to know, read again when one comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from processors.curation.erasures import ErasureIndex
from stores.control import erasures
from stores.control.database import Database


class Erasures(Protocol):
    """What has been erased up to now."""

    def index(self) -> ErasureIndex:
        """All of it."""

    def learn(self, runs: Iterable[tuple[str, str]]) -> None:
        """Runs that were emptied at ingest, as (`run_keys`, erasure)."""


class NothingErased:
    """Where there is no control database: a ledger by itself."""

    def index(self) -> ErasureIndex:
        """Nothing."""
        return ErasureIndex()

    def learn(self, runs: Iterable[tuple[str, str]]) -> None:
        """Nothing is emptied."""


class KnownErasures:
    """See `Erasures`. Asking costs one small query, unless something has changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stamp: tuple[int, int] | None = None
        self._index = ErasureIndex()

    def index(self) -> ErasureIndex:
        """See `Erasures`."""
        stamp = self._database.read(erasures.stamp)
        if stamp != self._stamp:
            self._index = self._database.read(
                lambda c: ErasureIndex(erasures.every(c), erasures.runs(c))
            )
            self._stamp = stamp
        return self._index

    def learn(self, runs: Iterable[tuple[str, str]]) -> None:
        """See `Erasures`."""
        self._database.write(lambda c: erasures.add_runs(c, runs))
