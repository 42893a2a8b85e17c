"""The control worker's part beside the members: the ledger is counted, compacted and vacuumed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from consumers.settings import ControlSettings
from operations.count_ledger import CountLedger
from operations.maintain_ledger import MaintainLedger
from operations.settings import LedgerSettings
from schemas.errors import NotReady
from schemas.telemetry import NoMeter
from stores.control.database import Database, sqlite_url
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.local import LocalPlace


class Maintainer(threading.Thread):
    """Maintains as often as a control worker does; `complaints` is what it must not meet."""

    def __init__(self, data: Path) -> None:
        """`data` is the installation's folder."""
        super().__init__(daemon=True)
        self._data = data
        self._done = threading.Event()
        self.rounds = 0
        self.complaints: list[str] = []

    def run(self) -> None:
        place, meter = LocalPlace(self._data / "ledger"), NoMeter()
        database = Database(sqlite_url(self._data / "control.db"))
        count = CountLedger(database, DeltaLedgerReader(place), meter)
        maintain = MaintainLedger(place, database, count, LedgerSettings(), "chaos", meter)
        while not self._done.wait(ControlSettings().maintain_seconds):
            try:
                self.rounds += maintain(datetime.now(UTC))
            except NotReady:
                continue  # another commit was quicker
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                self.complaints.append(f"maintenance failed: {error!r}")
        database.close()

    def stop(self) -> None:
        """End it."""
        self._done.set()
        self.join()
