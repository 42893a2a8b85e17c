"""Stopped partitions, on record: `lorikeet status` shows them, and a restart does not forget them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import structlog

from stores.control import stops
from stores.control.database import Database
from stores.control.stops import Stop

log = structlog.get_logger(__name__)


class StopPartitions:
    """Keeps, drops and lists stops. Blocking: call it in a thread."""

    def __init__(self, database: Database, ledger: str = "") -> None:
        """`ledger` names another ledger than the installation's own."""
        self._database = database
        self._prefix = f"{ledger}|" if ledger else ""

    def stop(self, stop: Stop) -> None:
        """Keep one."""
        kept = replace(stop, partition_key=self._prefix + stop.partition_key)
        if self._database.write(lambda c: stops.note(c, kept)):
            log.error(
                "ingest.partition_stopped",
                partition=stop.partition_key,
                reason=stop.reason,
                stored=stop.next_offset,
                log=f"{stop.log_start}-{stop.log_end}",
                remedy="lorikeet ledger accept-gap",
            )

    def known(self, offsets: dict[str, int]) -> dict[str, Stop]:
        """The stops among partitions, by key.

        Those whose stored offset has moved are over, and those of the topics before one made anew.
        """
        found, current = self._every(), {_first(key): key for key in offsets}
        mine = {key for key in found if _first(key) in current}
        open_ = {key for key in mine & offsets.keys() if found[key].next_offset == offsets[key]}
        self.clear(mine - open_)
        return {key: found[key] for key in open_}

    def clear(self, keys: Iterable[str]) -> None:
        """Drop some."""
        for key in keys:
            self._database.write(partial(stops.clear, partition_key=self._prefix + key))

    def keys(self) -> set[str]:
        """Those of all members, as of the first topic of each name."""
        return {_first(key) for key in self._every()}

    def _every(self) -> dict[str, Stop]:
        kept = self._database.read(stops.every)
        mine = [s for s in kept if s.partition_key.rpartition("|")[0] == self._prefix.rstrip("|")]
        return {s.partition_key.removeprefix(self._prefix): s for s in mine}


def _first(key: str) -> str:
    """The same partition's key in the first topic of its name."""
    return key.partition("#")[0]
