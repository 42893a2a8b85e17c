"""Advance the counters from the ledger's log; nothing on a timer scans the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from schemas.telemetry import Meter
from stores.control import counters, tallies
from stores.control import gaps as accepted
from stores.control.database import Database
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.gaps import Gap
from stores.ledger.log import LogExpired
from stores.ledger.port import Addition, Snapshot


class CountLedger:
    """Counts each commit of the ledger once, whoever asks and however often."""

    def __init__(self, database: Database, ledger: DeltaLedgerReader, meter: Meter) -> None:
        self._database = database
        self._ledger = ledger
        self._meter = meter
        self._known = False

    def __call__(self) -> int:
        """Count what is new; how many commits that was.

        Where the log no longer reaches back to what was counted, or this is another table than was
        counted (a backup, or a new ledger in an old place), everything is counted anew.
        """
        if not self._known and not self._same_table():
            self.recount()
        since = self._database.read(counters.cursor)
        counted = 0
        try:
            for addition in self._ledger.additions(since, tallies.COLUMNS):
                if not self._database.write(partial(_apply, since, addition)):
                    break  # somebody else counts too: what is left is theirs, or the next call's
                since = addition.version
                counted += 1
        except LogExpired:
            self.recount()
        return counted

    def _same_table(self) -> bool:
        """Asked once a process: whoever puts another table there stops the processes first."""
        table, version = self._ledger.identity()
        counted = self._database.read(counters.counted_table)
        self._known = True
        if counted is None:
            self._database.write(partial(counters.note_table, table_id=table))
        return counted in (None, table) and self._database.read(counters.cursor) <= version

    def recount(self) -> None:
        """Count everything anew, in one transaction, from the rows that the ledger holds now.

        The tallies of the days that retention dropped are added.
        """
        snapshot = self._ledger.snapshot(tallies.COLUMNS)
        dropped = (tallies.thawed(table) for table in snapshot.retired)
        found = tallies.merged(itertools.chain(dropped, [tallies.tally(snapshot.rows)]))
        table, _ = self._ledger.identity()
        self._database.write(partial(_replace, snapshot, found, table))


def _apply(since: int, addition: Addition, connection: Connection) -> bool:
    counted = counters.apply(connection, addition.version, addition.rows, addition.offsets, since)
    if counted:
        accepted.record(connection, _gaps(addition.gaps, addition.version))
    return counted


def _replace(snapshot: Snapshot, found: tallies.Tally, table: str, connection: Connection) -> None:
    counters.replace(connection, snapshot.version, found, snapshot.offsets)
    counters.note_table(connection, table)
    accepted.record(connection, _gaps(snapshot.gaps, snapshot.version))


def _gaps(gaps: Iterable[Gap], version: int) -> Iterable[accepted.AcceptedGap]:
    for gap in gaps:
        name, _, number = gap.key.partition("#")
        cluster, topic, partition = name.split(":")
        at = gap.note.get("accepted_at")
        yield accepted.AcceptedGap(
            cluster,
            topic,
            int(partition),
            int(number or 0),
            gap.start,
            gap.end,
            gap.note.get("accepted_by", ""),
            datetime.fromisoformat(at) if at else None,
            gap.note.get("reason", ""),
            version,
        )
