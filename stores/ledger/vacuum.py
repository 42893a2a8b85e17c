"""Vacuum: checkpoints of the log, and deleting what nobody can need any more."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

from stores.ledger import log
from stores.ledger.durable import LOG
from stores.ledger.files import data_files
from stores.ledger.place import Fault, Item, Place, no_fault
from stores.ledger.retirement import FOLDER, retired_of
from stores.ledger.table import open_table

VACUUM_STEPS = ("checkpointed", "checkpoint_synced", "entry_deleted", "file_deleted")
"""The steps of tidying up, in order; a fault hook is called after each (after each deletion)."""
CHECKPOINT_COMMITS = 100
"""After so many commits the log's state is written to one file. Opening the ledger reads all that came
after it, and claiming its partitions twice that: 1.1 s with 800 commits."""
KEEP_SECONDS = 7 * 86_400
"""How long files that nothing refers to stay (Delta's `deletedFileRetention`): readers may hold them."""
KEEP_ENTRIES = 1_000
"""Log entries kept below the newest checkpoint. delta-rs lists the folder for every commit: 40,000
files there make one take 0.4 to 1 second instead of 30 ms."""
_LOG_FILE = re.compile(r"\d{20}\.(json|checkpoint\.parquet)|_last_checkpoint")


def checkpoint(place: Place, least: int, fault: Fault = no_fault) -> bool:
    """Write the log's state to one file if at least `least` commits came since the last time."""
    table = open_table(place)
    version = table.version()
    if version - log.last_checkpoint(place) < least:
        return False
    table.create_checkpoint()
    fault("checkpointed")
    place.sync(log.checkpoint_names(version))
    fault("checkpoint_synced")
    return True


def trim_log(
    place: Place, counted: int, fault: Fault = no_fault, *, keep: int = KEEP_ENTRIES
) -> int:
    """Delete log entries and checkpoints that lie `keep` versions below the newest checkpoint.

    Those above `counted`, the version up to which the counters have read the log, stay.
    """
    end = min(log.last_checkpoint(place) - keep, counted)
    deleted = 0
    for version, item in log.numbered(place):
        if version >= end:
            break
        place.delete(item.name)
        fault("entry_deleted")
        deleted += 1
    return deleted


def vacuum(place: Place, fault: Fault = no_fault, *, keep_seconds: float = KEEP_SECONDS) -> int:
    """Delete files that nothing has referred to for a while; how many.

    Compacted and dropped files, those of commits that were never made, torn log entries.
    """
    deleted = 0
    for item in _unreferenced(place, time.time() - keep_seconds):
        place.delete(item.name)
        fault("file_deleted")
        deleted += 1
    return deleted


def _unreferenced(place: Place, before: float) -> Iterator[Item]:
    items = list(place.items(""))  # first: what is written from now on is not among them
    table = open_table(place)
    found = log.state(place, table.version())
    used = {file.name for file in data_files(table)} | set(retired_of(found.transactions))
    for item in items:
        removed = found.removed.get(item.name, 0) / 1000
        if item.name not in used and max(item.modified, removed) < before and _ours(item.name):
            yield item


def _ours(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    if folder == LOG:
        return not _LOG_FILE.fullmatch(base)
    return base.endswith(".parquet") and (folder == FOLDER or "=" in folder)
