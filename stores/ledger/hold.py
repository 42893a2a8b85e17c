"""Who may write the ledger on this machine: many writers, or one who replaces it.

A lock of the kernel on a file beside the ledger; it ends with its process, however that ends. A ledger
on S3 has none: nobody replaces it.
"""

from __future__ import annotations

import contextlib
import fcntl
from pathlib import Path
from typing import IO

from schemas.errors import Code, NotReady
from stores.ledger.local import LocalPlace
from stores.ledger.place import Place
from stores.ledger.table import place_of


def share(where: Path | Place) -> contextlib.ExitStack:
    """Hold the ledger as one of its writers, until the result is closed.

    Raises NotReady(LEDGER_IN_USE) while somebody replaces it, or was interrupted while doing so.
    """
    held, place = contextlib.ExitStack(), place_of(where)
    if isinstance(place, LocalPlace):
        held.enter_context(_share(place.root))
    return held


def alone(ledger: Path) -> IO[bytes]:
    """Hold the ledger against all writers. Raises NotReady(LEDGER_IN_USE) while there are any."""
    return _lock(ledger, fcntl.LOCK_EX, str(ledger))


def _share(ledger: Path) -> IO[bytes]:
    if replacing(ledger).exists():
        detail = f"{ledger} is being rebuilt, or that was interrupted"
        raise NotReady(Code.LEDGER_IN_USE, detail, remedy="let `lorikeet ledger rebuild` end")
    return _lock(ledger, fcntl.LOCK_SH, "it is being rebuilt")


def replacing(ledger: Path) -> Path:
    """The file that is there from before the ledger is replaced until all of it is done."""
    return ledger.with_name(f"{ledger.name}.replacing.json")


def _lock(ledger: Path, kind: int, detail: str) -> IO[bytes]:
    ledger.parent.mkdir(parents=True, exist_ok=True)
    handle = ledger.with_name(f"{ledger.name}.lock").open("ab")
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise NotReady(Code.LEDGER_IN_USE, detail) from None
    return handle
