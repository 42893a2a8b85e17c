"""Opening the control database, and transactions that a second writer cannot tear.

SQLite: WAL, synchronous FULL, every writing transaction begins IMMEDIATE and is retried when it meets
another writer. PostgreSQL: SERIALIZABLE, retried on serialization failures. A function given to
`write` may therefore run more than once and must have no other effects.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from schemas.errors import Code, Unrecoverable

T = TypeVar("T")
HEAD = "0001"
"""The newest migration's revision."""
_ATTEMPTS = 20
_NETWORK_FS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "glusterfs", "fuse.sshfs"}
_RETRY_STATES = {"40001", "40P01"}


class Database:
    """The control database of one installation."""

    def __init__(self, url: str) -> None:
        """Open, and migrate forward. Raises Unrecoverable with a code for what a user can mend."""
        self.url = url
        self.engine = _engine(url)
        self.write(_migrate)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one writing transaction; all of it happens, or nothing."""
        for attempt in range(_ATTEMPTS):
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except OperationalError as error:
                if not _worth_retrying(error) or attempt == _ATTEMPTS - 1:
                    raise _explained(error, self.url) from error
                time.sleep(min(0.01 * 2**attempt, 0.5))
        raise AssertionError("unreachable")  # pragma: no cover

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a consistent snapshot without holding the write lock."""
        try:
            with self.engine.connect().execution_options(lorikeet_read=True) as connection:
                return work(connection)
        except OperationalError as error:
            raise _explained(error, self.url) from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    """The address of a SQLite file, its folder made; network file systems are refused."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unrecoverable(Code.UNWRITABLE, f"{path.parent}: {error.strerror}") from error
    kind = _filesystem(path.parent.resolve())
    if kind in _NETWORK_FS:
        raise Unrecoverable(Code.NETWORK_FS, f"{path} ({kind})")
    return f"sqlite:///{path.resolve()}"


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 10.0, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _pragmas(connection: object, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("lorikeet_read", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _migrate(connection: Connection) -> None:
    current: str | None = None
    if inspect(connection).has_table("alembic_version"):
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        current = found or ""
    if current == HEAD:
        return
    from stores.control.migrate import upgrade  # noqa: PLC0415 - Alembic takes 0.2 s to load

    upgrade(connection, current)


def _worth_retrying(error: OperationalError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state in _RETRY_STATES or "locked" in str(error.orig) or "busy" in str(error.orig)


def _explained(error: OperationalError, url: str) -> Exception:
    message = str(error.orig)
    if "disk is full" in message:
        return Unrecoverable(Code.DISK_FULL, url)
    if "readonly" in message or "unable to open" in message:
        return Unrecoverable(Code.UNWRITABLE, url)
    return error


def _filesystem(path: Path) -> str:
    """The kind of file system that holds `path`, from the mount table; empty where unknown."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text().splitlines():
        _, point, name, *_ = line.split(" ")
        inside = path.as_posix() == point or path.as_posix().startswith(point.rstrip("/") + "/")
        if inside and len(point) > len(best):
            best, kind = point, name
    return kind
