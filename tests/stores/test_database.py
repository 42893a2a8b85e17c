"""The control database: migrated forward, refused if newer, safe under several writers."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from schemas.errors import Code, Unrecoverable
from stores.control import leases
from stores.control.database import HEAD, Database, sqlite_url
from stores.control.migrate import alembic_config
from stores.control.tables import metadata
from tests.installation import NOW, database
from tests.processes import ROOT


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    store = database(tmp_path)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_opening_it_again_changes_nothing(tmp_path: Path) -> None:
    database(tmp_path).write(lambda c: leases.acquire(c, "x", "me", NOW, 10))
    assert database(tmp_path).write(lambda c: leases.acquire(c, "x", "you", NOW, 10)) is None


def test_a_database_of_a_newer_lorikeet_is_refused(tmp_path: Path) -> None:
    store = database(tmp_path)
    store.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(Unrecoverable) as caught:
        database(tmp_path)
    assert caught.value.code is Code.DB_NEWER


def test_it_is_durable_and_in_wal_mode(tmp_path: Path) -> None:
    with database(tmp_path).engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.control.database._filesystem", lambda _path: "nfs4")
    with pytest.raises(Unrecoverable) as caught:
        sqlite_url(tmp_path / "control.db")
    assert caught.value.code is Code.NETWORK_FS


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    store = database(tmp_path)

    def work(connection: object) -> None:
        leases.acquire(connection, "x", "me", NOW, 10)  # type: ignore[arg-type]
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError):
        store.write(work)
    assert store.write(lambda c: leases.acquire(c, "x", "you", NOW, 10)) == 1


def test_a_lease_is_held_by_one_and_its_epoch_grows(tmp_path: Path) -> None:
    store = database(tmp_path)

    def take(owner: str, seconds: float) -> int | None:
        now = NOW + timedelta(seconds=seconds)
        return store.write(lambda c: leases.acquire(c, "relay", owner, now, 10))

    assert take("a", 0) == 1
    assert take("b", 5) is None
    assert take("a", 8) == 1, "extended"
    assert take("b", 15) is None
    assert take("b", 19) == 2, "the old owner can be told by its epoch"
    store.write(lambda c: leases.release(c, "relay", "a"))
    assert take("a", 20) is None, "only the owner gives it back"
    store.write(lambda c: leases.release(c, "relay", "b"))
    assert take("a", 21) == 1


def _count_up(folder: str, times: int) -> None:
    store = Database(sqlite_url(Path(folder) / "control.db"))

    def work(connection: object) -> None:
        found = connection.execute(  # type: ignore[attr-defined]
            text("SELECT next_offset FROM ledger_offsets WHERE partition_key = 'n'")
        ).scalar()
        connection.execute(  # type: ignore[attr-defined]
            text("UPDATE ledger_offsets SET next_offset = :n WHERE partition_key = 'n'"),
            {"n": found + 1},
        )

    for _ in range(times):
        store.write(work)


def test_read_then_write_is_never_torn_by_another_process(tmp_path: Path) -> None:
    store = database(tmp_path)
    store.write(lambda c: c.execute(text("INSERT INTO ledger_offsets VALUES ('n', 0)")))
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_count_up, args=(str(tmp_path), 25)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    query = text("SELECT next_offset FROM ledger_offsets")
    assert store.read(lambda c: c.execute(query).scalar()) == 75


def test_the_newest_revision_is_known_without_alembic(tmp_path: Path) -> None:
    """A process that finds it does not load Alembic, which takes longer than opening the database."""
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD
    Database(sqlite_url(tmp_path / "control.db")).close()
    code = (
        "import sys; from pathlib import Path;"
        "from stores.control.database import Database, sqlite_url;"
        "Database(sqlite_url(Path(sys.argv[1])));"
        "print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "control.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
