"""The ledger's maintenance: what is due is done, once, by whoever holds the lease."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from operations.count_ledger import CountLedger
from operations.maintain_ledger import LEASE, MaintainLedger
from operations.settings import LedgerSettings
from schemas.errors import Code, Unrecoverable
from service.metrics import PrometheusMeter
from service.settings import load
from stores.control import counters, leases
from stores.control.database import Database
from stores.ledger import log
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.files import data_files
from stores.ledger.local import LocalPlace
from stores.ledger.table import open_table
from tests.installation import database
from tests.ledgers import DAY, fill, places, whole

NOON = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)


class Installed:
    """A ledger with its control database, and a maintainer."""

    def __init__(self, folder: Path, retention_days: int | None = None) -> None:
        self.place = LocalPlace(folder / "ledger")
        self.store: Database = database(folder)
        self.meter = PrometheusMeter("control")
        self.count = CountLedger(self.store, DeltaLedgerReader(self.place), self.meter)
        self.maintain = MaintainLedger(
            self.place,
            self.store,
            self.count,
            LedgerSettings(retention_days=retention_days),
            "me",
            self.meter,
        )

    def sample(self, name: str, **labels: str) -> float | None:
        return self.meter.registry.get_sample_value(name, labels)


def test_what_is_due_is_done(tmp_path: Path) -> None:
    found = Installed(tmp_path)
    fill(found.place, 101, size=1)
    assert found.maintain(NOON)
    assert whole(found.place, 101)
    assert len(data_files(open_table(found.place))) < 101 / 32 + 32
    assert log.last_checkpoint(found.place) == 101
    assert sum(found.store.read(counters.dispositions).values()) == 202
    assert found.sample("lorikeet_ledger_files") == len(data_files(open_table(found.place)))
    assert found.sample("lorikeet_ledger_bytes")
    for step in ("count", "checkpoint", "trim", "retire", "compact", "vacuum"):
        assert found.sample("lorikeet_ledger_maintenance_seconds_count", step=step) == 1
    stamp = found.sample("lorikeet_ledger_last_maintenance_timestamp_seconds")
    assert stamp == NOON.timestamp()
    version = DeltaLedgerReader(found.place).version()
    assert found.maintain(NOON + timedelta(seconds=30))
    assert DeltaLedgerReader(found.place).version() == version, "nothing was due"
    assert found.sample("lorikeet_ledger_maintenance_seconds_count", step="vacuum") == 1


def test_only_the_holder_of_the_lease_works(tmp_path: Path) -> None:
    found = Installed(tmp_path)
    fill(found.place, 2)
    found.store.write(lambda c: leases.acquire(c, LEASE, "somebody else", NOON, 60))
    assert not found.maintain(NOON, least=2)
    assert len(data_files(open_table(found.place))) == 2
    assert found.maintain(NOON + timedelta(seconds=61), least=2)
    assert len(data_files(open_table(found.place))) == 1
    assert found.store.write(lambda c: leases.acquire(c, LEASE, "x", NOON, 60)), "given back"


def test_rows_past_their_retention_are_dropped_and_stay_counted(tmp_path: Path) -> None:
    found = Installed(tmp_path, retention_days=10)
    for days in (0, 1, 5):
        fill(found.place, 2, DAY + timedelta(days=days))
    assert found.maintain(NOON + timedelta(days=10))
    assert sum(places(found.place).values()) == 24, "the tenth day is kept"
    assert found.maintain(NOON + timedelta(days=12))
    assert sorted({offset for _, offset in places(found.place)}) == [8, 9, 10, 11]
    counted = found.store.read(counters.dispositions)
    assert counted == {"accepted": 24}
    found.count.recount()
    assert found.store.read(counters.dispositions) == counted
    assert Installed(tmp_path / "other").store.read(counters.dispositions) == {}


def test_a_lost_control_database_is_counted_anew_with_what_was_dropped(tmp_path: Path) -> None:
    found = Installed(tmp_path, retention_days=1)
    fill(found.place, 3)
    assert found.maintain(NOON + timedelta(days=5))
    assert not places(found.place)
    count = CountLedger(database(tmp_path / "new"), DeltaLedgerReader(found.place), found.meter)
    count.recount()
    assert count._database.read(counters.dispositions) == {"accepted": 12}


def test_a_retention_that_forgets_duplicates_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "lorikeet.yaml"
    config.write_text("ledger: {retention_days: 7}\ncuration: {dedupe_days: 7}\n")
    with pytest.raises(Unrecoverable) as caught:
        load(config)
    assert caught.value.code is Code.BAD_SETTINGS
    assert "dedupe_days" in str(caught.value)
