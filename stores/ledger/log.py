"""Delta's log, read where delta-rs has no reader for it: transactions, commits in order, tombstones.

The newest checkpoint holds the state up to its version; entries above it hold what came later. Entries
below it are deleted after a while, so a walk may begin below what is left: `LogExpired`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from schemas.errors import Code, NotReady
from stores.ledger.durable import LOG
from stores.ledger.place import Item, Place, entry_name

_LAST_CHECKPOINT = f"{LOG}/_last_checkpoint"
_ATTEMPTS = 5


class LogExpired(NotReady):
    """The log no longer reaches back to a version: read a snapshot instead."""

    def __init__(self, since: int) -> None:
        super().__init__(Code.LEDGER_LOG_EXPIRED, f"version {since + 1} is gone")


@dataclass(slots=True)
class LogState:
    """What the log says up to a version: txn id → version, and removed file → when (ms, UTC)."""

    version: int = -1
    checkpoint: int = -1
    transactions: dict[str, int] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)

    def apply(self, version: int, actions: list[dict[str, Any]]) -> None:
        """Take one commit in."""
        self.version = version
        for action in actions:
            if "txn" in action:
                self.transactions[action["txn"]["appId"]] = action["txn"]["version"]
            elif "remove" in action:
                found = action["remove"]
                self.removed[found["path"]] = found.get("deletionTimestamp") or 0


def entries(place: Place, after: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(version, actions) of each log entry after a version, in order. Raises LogExpired."""
    version = after + 1
    while True:
        content = _read(place, version)
        if content is None and numbered(place, version):  # or it came while we looked
            content = _read(place, version)
            if content is None:
                raise LogExpired(after)
        if content is None:
            return
        yield version, [json.loads(line) for line in content.splitlines() if line.strip()]
        version += 1


def state(place: Place, until: int | None = None) -> LogState:
    """The log's state, up to a version if one is given that is not below the newest checkpoint."""
    for _ in range(_ATTEMPTS):
        found = _checkpoint(place, until)
        try:
            for version, actions in entries(place, found.version):
                if until is not None and version > until:
                    break
                found.apply(version, actions)
        except LogExpired:  # a newer checkpoint was made meanwhile, and the entries deleted
            continue
        return found
    raise LogExpired(found.version)


def numbered(place: Place, above: int = -1) -> list[tuple[int, Item]]:
    """(version, item) of each log entry and checkpoint above a version, in order."""
    found = []
    for item in place.items(LOG, f"{LOG}/{above + 1:020}"):
        stem, _, kind = item.name.rsplit("/", 1)[1].partition(".")
        if stem.isdigit() and (kind == "json" or kind.endswith("checkpoint.parquet")):
            found.append((int(stem), item))
    return sorted(found)


def last_checkpoint(place: Place) -> int:
    """The newest checkpoint's version; −1 without one."""
    try:
        return int(json.loads(place.read(_LAST_CHECKPOINT))["version"])
    except FileNotFoundError:
        return max((v for v, i in numbered(place) if i.name.endswith(".parquet")), default=-1)


def checkpoint_names(version: int) -> tuple[str, str]:
    """The files that make a checkpoint."""
    return f"{LOG}/{version:020}.checkpoint.parquet", _LAST_CHECKPOINT


def _checkpoint(place: Place, until: int | None) -> LogState:
    version = last_checkpoint(place)
    if version < 0 or (until is not None and version > until):
        return LogState()
    try:
        with place.open(checkpoint_names(version)[0]) as file:
            rows = pq.read_table(file, columns=["txn", "remove"])
    except FileNotFoundError:
        return LogState()
    found = LogState(version, version)
    for name in ("txn", "remove"):
        for record in rows.column(name).drop_null().to_pylist():
            found.apply(version, [{name: record}])
    return found


def _read(place: Place, version: int) -> bytes | None:
    try:
        return place.read(entry_name(version))
    except FileNotFoundError:
        return None
