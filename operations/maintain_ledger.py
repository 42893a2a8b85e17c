"""Keep the ledger quick to open, to append to and to read: what is due is done, under a lease.

Steps, in order; a crash after any of them loses nothing, and the next call goes on:

    1 count       the counters read the log up to its end, so that what is deleted later was counted
    2 checkpoint  the log's state in one file, every hundred commits
    3 trim        log entries far below the newest checkpoint are deleted
    4 retire      days of ingest past their retention are dropped, their tally kept
    5 compact     small files of one day become few large ones
    6 vacuum      files that nothing has referred to for a week are deleted, hourly
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from operations.count_ledger import CountLedger
from operations.settings import LedgerSettings
from schemas.telemetry import Meter, Metric
from stores.control import counters, leases, tallies
from stores.control.database import Database
from stores.ledger.compaction import compact
from stores.ledger.files import data_files
from stores.ledger.hold import share
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.retirement import Retirement, days_before
from stores.ledger.table import open_table
from stores.ledger.vacuum import CHECKPOINT_COMMITS, checkpoint, trim_log, vacuum

LEASE = "maintain:ledger"
LEASE_SECONDS = 600.0
"""Longer than a run takes. If it should end early, two runs conflict in the ledger; none is harmed."""
_COMPACT_FILES = 32
_VACUUM_EVERY = timedelta(hours=1)


class MaintainLedger:
    """One call does what is due; all of it is safe beside writers, readers and another maintainer."""

    def __init__(
        self,
        place: Place,
        database: Database,
        count: CountLedger,
        settings: LedgerSettings,
        owner: str,
        meter: Meter,
        fault: Fault = no_fault,
    ) -> None:
        self._place = place
        self._database = database
        self._count = count
        self._settings = settings
        self._owner = owner
        self._meter = meter
        self._fault = fault
        self._vacuumed: datetime | None = None

    def __call__(self, now: datetime, *, least: int = _COMPACT_FILES) -> bool:
        """Do what is due; False while somebody else does. `least` small files are worth merging.

        Raises NotReady(LEDGER_FENCED) if another maintainer, without the lease, was quicker,
        NotReady(LEDGER_IN_USE) while the ledger is rebuilt.
        """
        if not self._lease(now):
            return False
        try:
            with share(self._place):
                self._do(now, least)
        finally:
            self._database.write(lambda c: leases.release(c, LEASE, self._owner))
        self._meter.set(Metric.LEDGER_MAINTAINED, now.timestamp())
        return True

    def _do(self, now: datetime, least: int) -> None:
        self._timed("count", self._count)
        self._timed("checkpoint", lambda: checkpoint(self._place, CHECKPOINT_COMMITS, self._fault))
        self._timed("trim", self._trim)
        self._timed("retire", lambda: self._retire(now))
        self._timed("compact", lambda: self._compact(now, least))
        if self._vacuumed is None or now - self._vacuumed >= _VACUUM_EVERY:
            self._timed("vacuum", lambda: vacuum(self._place, self._fault))
            self._vacuumed = now
        self._measure()

    def _trim(self) -> None:
        trim_log(self._place, self._database.read(counters.cursor), self._fault)

    def _retire(self, now: datetime) -> None:
        if self._settings.retention_days is None:
            return
        first_kept = now.date() - timedelta(days=self._settings.retention_days)
        for day in days_before(self._place, first_kept.isoformat()):
            self._count()  # what is dropped was counted
            dropped = Retirement(self._place, day, self._fault)
            dropped.drop(tallies.frozen(tallies.tally(dropped.rows(tallies.COLUMNS))))

    def _compact(self, now: datetime, least: int) -> None:
        compact(self._place, least, closed=now.date().isoformat(), fault=self._fault)

    def _measure(self) -> None:
        files = data_files(open_table(self._place))
        self._meter.set(Metric.LEDGER_FILES, len(files))
        self._meter.set(Metric.LEDGER_BYTES, sum(file.size for file in files))

    def _timed(self, step: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        self._meter.observe(Metric.LEDGER_MAINTENANCE, time.perf_counter() - started, step=step)

    def _lease(self, now: datetime) -> bool:
        return bool(
            self._database.write(
                lambda c: leases.acquire(c, LEASE, self._owner, now, LEASE_SECONDS)
            )
        )
