"""Objects on a local disk that survive a power cut: obstore renames its files and never syncs them."""

from __future__ import annotations

import os
from pathlib import Path


def write(root: Path, key: str, data: bytes) -> None:
    """Write `root/key`: all of it or none, and on disk when this returns. Raises OSError.

    The file has a name that obstore does not list until it is whole.
    """
    path = root / key
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}#{os.getpid()}")
    try:
        _write(staged, data)
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    for folder in (path.parent, *(folder.parent for folder in made)):
        _sync(folder)


def delete(root: Path, key: str) -> None:
    """Delete `root/key`, for good when this returns; none is fine too."""
    path = root / key
    if path.exists():
        path.unlink(missing_ok=True)
        _sync(path.parent)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
