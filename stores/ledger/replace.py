"""Replacing the ledger by one that was built beside it, so that no moment is without a ledger."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from stores.ledger import durable
from stores.ledger.hold import replacing
from stores.ledger.local import LocalPlace
from stores.ledger.place import Place
from stores.ledger.table import open_table

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


class Replacement:
    """A ledger in the making. The caller holds the old one alone (`hold.alone`).

    `kind` says what its rows depend on beside Kafka: one of another kind is begun again.
    """

    def __init__(self, ledger: Path, kind: str) -> None:
        self._ledger = ledger
        self._kind = kind
        self._kind_file = ledger.with_name(f"{ledger.name}.rebuilding.json")
        self.folder = ledger.with_name(f"{ledger.name}.rebuilding")

    def begin(self) -> bool:
        """Make ready to build; whether one of the same kind is continued."""
        known = _read(self._kind_file)
        if self.folder.exists() and known == {"kind": self._kind}:
            return True
        shutil.rmtree(self.folder, ignore_errors=True)
        _write(self._kind_file, {"kind": self._kind})
        return False

    def swap(self, now: datetime) -> Path:
        """Put the new ledger in the old one's place; where the old one is kept. To be followed by
        `done`; interrupted anywhere between, `resume` goes on.
        """
        before = self._ledger.with_name(f"{self._ledger.name}.before-{now:%Y%m%dT%H%M%SZ}")
        new = open_table(self.folder).metadata().id
        _write(replacing(self._ledger), {"new": str(new), "before": before.name})
        return self._swap(str(new), before)

    def resume(self) -> Path | None:
        """Go on with a swap that was interrupted; where the old one is kept. None: there was none."""
        known = _read(replacing(self._ledger))
        if known is None:
            return None
        return self._swap(known["new"], self._ledger.with_name(known["before"]))

    def done(self) -> None:
        """All that follows from the swap is done too."""
        self._kind_file.unlink(missing_ok=True)
        replacing(self._ledger).unlink(missing_ok=True)
        durable.sync(self._ledger.parent)

    def _swap(self, new: str, before: Path) -> Path:
        if self.folder.exists():
            if str(open_table(self.folder).metadata().id) == new:  # not swapped yet
                _exchange(self.folder, self._ledger)
            self.folder.rename(before)
        durable.sync(self._ledger.parent)
        return before


def kept(place: Place) -> list[str]:
    """The ledgers that lie beside one because it has replaced them."""
    if not isinstance(place, LocalPlace):
        return []
    return sorted(str(path) for path in place.root.parent.glob(f"{place.root.name}.before-*"))


def forget_unfinished(place: Place) -> None:
    """Delete a ledger that was begun beside this one and not put in its place: a rebuild begins again.

    The caller holds the ledger as one of its writers, so that nobody is building.
    """
    if isinstance(place, LocalPlace):
        shutil.rmtree(place.root.with_name(f"{place.root.name}.rebuilding"), ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step of the kernel; in two where the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = (os.fsencode(one), os.fsencode(other))
    if not hasattr(library, "renameat2") or library.renameat2(
        _AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE
    ):
        aside = other.with_name(f"{other.name}.aside")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return found


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(value))
    durable.sync(partial)
    partial.replace(path)
    durable.sync(path.parent)
