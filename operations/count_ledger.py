"""Advance the counters from the ledger's log; nothing on a timer scans the ledger."""

from __future__ import annotations

from functools import partial

from sqlalchemy import Connection

from schemas.telemetry import Meter
from stores.control import counters
from stores.control.database import Database
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.port import Addition


class CountLedger:
    """Counts each commit of the ledger once, whoever asks and however often."""

    def __init__(self, database: Database, ledger: DeltaLedgerReader, meter: Meter) -> None:
        self._database = database
        self._ledger = ledger
        self._meter = meter

    def __call__(self) -> int:
        """Count what is new; how many commits that was."""
        since = self._database.read(counters.cursor)
        counted = 0
        for addition in self._ledger.additions(since, counters.COLUMNS):
            counted += self._database.write(partial(_apply, addition))
        return counted

    def recount(self) -> None:
        """Count everything anew."""
        self._database.write(counters.reset)
        self()


def _apply(addition: Addition, connection: Connection) -> bool:
    return counters.apply(connection, addition.version, addition.rows, addition.offsets)
