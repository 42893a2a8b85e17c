"""Files of this machine that survive a power cut once the call returns."""

from __future__ import annotations

import os
from pathlib import Path

LOG = "_delta_log"


def sync(path: Path) -> None:
    """Fsync a file or a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def entry(table: Path, version: int) -> Path:
    """The log entry of a table version."""
    return table / LOG / f"{version:020}.json"
