"""How long events take until they are durable: from the Delta log, and from ingest's own page."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

METRIC = "lorikeet_ingest_event_to_durable_seconds"
_MILLIS = 60_000


@dataclass(frozen=True, slots=True)
class Committed:
    """One commit: when its log entry was written (seconds since 1970), its rows' latencies in ms."""

    at: float
    latencies: npt.NDArray[np.int64]


class DeltaLog:
    """Reads the log entry by entry: an entry's time less the Kafka timestamps of its rows.

    The entry's time is that of its file; its fsync, and ingest's return from it, come a little later.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._version = 0

    def follow(self) -> list[Committed]:
        """The commits that are new. Compactions and other housekeeping add no rows."""
        found = []
        while (path := self._ledger / "_delta_log" / f"{self._version:020}.json").exists():
            at = path.stat().st_mtime
            actions = [json.loads(line) for line in path.read_text().splitlines()]
            added = [a["add"]["path"] for a in actions if a.get("add", {}).get("dataChange")]
            for name in added:
                file = self._ledger / unquote(name)
                stamps = pq.read_table(file, columns=["timestamp"], partitioning=None)["timestamp"]
                found.append(Committed(at, np.int64(at * 1000) - stamps.to_numpy()))
            self._version += 1
        return found


class Latencies:
    """Counts by the millisecond, so that half an hour of them stays small."""

    def __init__(self) -> None:
        self._counts = np.zeros(_MILLIS, dtype=np.int64)

    def add(self, latencies: npt.NDArray[np.int64]) -> None:
        """Count some; what is above a minute counts as one."""
        self._counts += np.bincount(np.clip(latencies, 0, _MILLIS - 1), minlength=_MILLIS)

    @property
    def rows(self) -> int:
        """How many."""
        return int(self._counts.sum())

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the events was durable."""
        return float(np.searchsorted(np.cumsum(self._counts), share * self.rows)) / 1000


def buckets(port: int) -> dict[float, float]:
    """The histogram on ingest's page: upper edge in seconds → events up to it. Empty if absent."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    start = f'{METRIC}_bucket{{le="'
    pairs = [line.removeprefix(start).split('"} ') for line in lines if line.startswith(start)]
    return {float(edge): float(count) for edge, count in pairs}


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float | None:
    """The same from the histogram's growth, linear within a bucket as Prometheus does it."""
    grown = [(edge, count - before.get(edge, 0.0)) for edge, count in sorted(after.items())]
    if not grown or not grown[-1][1]:
        return None
    wanted, low, below = share * grown[-1][1], 0.0, 0.0
    for edge, count in grown:
        if count >= wanted:
            inside = (wanted - below) / (count - below)
            return low if edge == float("inf") else low + (edge - low) * inside
        low, below = edge, count
    return None
