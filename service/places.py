"""Where things lie: caches of what was downloaded, and the folders of one installation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import Code, Unrecoverable


def cache_home() -> Path:
    """`$XDG_CACHE_HOME/lorikeet`: packages, jars, models; safe to delete."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "lorikeet"


def default_data() -> Path:
    """Where an installation lies if nobody said: `$XDG_DATA_HOME/lorikeet`."""
    root = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(root) / "lorikeet"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one installation, all under one."""

    data: Path

    def check(self) -> None:
        """Raises Unrecoverable(UNWRITABLE, FOREIGN_FOLDER or DISK_FULL) if nothing can be kept here."""
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            trial = self.data / f".writable-{os.getpid()}"
            trial.write_bytes(b"lorikeet\n" * 128)
            trial.unlink()
        except ValueError as error:
            raise Unrecoverable(Code.UNWRITABLE, f"{str(self.data)!r}: {error}") from error
        except FileExistsError:
            raise Unrecoverable(Code.FOREIGN_FOLDER, f"{self.data} is a file") from None
        except OSError as error:
            full = error.errno == 28  # noqa: PLR2004 - ENOSPC
            code = Code.DISK_FULL if full else Code.UNWRITABLE
            raise Unrecoverable(code, f"{self.data}: {error.strerror}") from error

    @property
    def ledger(self) -> Path:
        """The Delta table."""
        return self.data / "ledger"

    @property
    def objects(self) -> str:
        """Datasets, adapters and reports."""
        return f"file://{self.data.resolve() / 'objects'}"

    @property
    def scratch(self) -> Path:
        """What a seal does not hold in memory."""
        return self.data / "scratch"

    @property
    def database(self) -> Path:
        """The embedded control database."""
        return self.data / "control.db"

    @property
    def keys(self) -> Path:
        """Secrets made on the first start."""
        return self.data / "keys"

    @property
    def jobs(self) -> Path:
        """Job folders."""
        return self.data / "jobs"

    @property
    def serving(self) -> Path:
        """Adapters as gateways load them, verified."""
        return self.data / "serving"

    @property
    def logs(self) -> Path:
        """Logs of supervised processes."""
        return self.data / "logs"

    @property
    def broker(self) -> Path:
        """The embedded broker's own folder."""
        return self.data / "broker"
