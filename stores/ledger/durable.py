"""Files that are on disk when the call returns, and Delta's log after a torn write.

delta-rs renames but never syncs; a power cut after its commit can lose it. So data files are written
and synced here, and log entries are synced after the commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

LOG = "_delta_log"


def write_parquet(table: pa.Table, path: Path) -> int:
    """Write, sync file and folder; the size in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
    sync(path)
    sync(path.parent)
    return path.stat().st_size


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


def sync_log(table: Path, after: int, until: int) -> None:
    """Sync the log entries in (after, until] and their folder."""
    for version in range(after + 1, until + 1):
        path = entry(table, version)
        if path.exists():
            sync(path)
    sync(table / LOG)


def entries(table: Path, after: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(version, actions) of each log entry after a version, in order."""
    version = after + 1
    while (path := entry(table, version)).exists():
        yield version, [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        version += 1


def set_aside_torn_entry(table: Path) -> Path | None:
    """Rename a torn or empty last log entry, which nobody was told of; its new path, or None."""
    log = table / LOG
    if not log.is_dir():
        return None
    numbered = sorted(p for p in log.glob("*.json") if p.stem.isdigit())
    if not numbered or _whole(numbered[-1]):
        return None
    aside = numbered[-1].with_suffix(".torn")
    numbered[-1].rename(aside)
    sync(log)
    return aside


def _whole(path: Path) -> bool:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    try:
        return bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False
