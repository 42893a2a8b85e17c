"""Readers of the ledger: its log as it grows, and whole snapshots, during the faults and after."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

from stores.ledger.delta import DeltaLedgerReader
from tests.chaos.traffic import PARTITIONS, Truth

_REST = 4.0  # a snapshot's reading time, so many times over, is rested


class Log:
    """The Delta log, read entry by entry: where each partition is, and since when."""

    def __init__(self, ledger: Path, topic: str) -> None:
        self._folder = ledger / "_delta_log"
        self._topic = f":{topic}:"
        self._version = 0
        self.offsets: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        self.moved: dict[int, float] = {}

    def follow(self) -> dict[int, int]:
        """Read what is new; the next offset of each partition."""
        while (path := self._folder / f"{self._version:020}.json").exists():
            written = path.stat().st_mtime
            for line in path.read_text().splitlines():
                transaction = json.loads(line).get("txn", {})
                if self._topic in transaction.get("appId", ""):
                    partition = int(transaction["appId"].rsplit(":", 1)[1])
                    self.offsets[partition] = transaction["version"]
                    self.moved[partition] = written
            self._version += 1
        return dict(self.offsets)


class Witness(threading.Thread):
    """Opens the ledger again and again; `complaints` is what must never be seen."""

    def __init__(self, ledger: Path) -> None:
        super().__init__(daemon=True)
        self._ledger = ledger
        self._done = threading.Event()
        self.snapshots = 0
        self.complaints: list[str] = []
        self.holes: set[tuple[int, int]] = set()
        self._rows = 0

    def run(self) -> None:
        while not self._done.is_set():
            began = time.monotonic()
            if (self._ledger / "_delta_log").exists():
                try:
                    self.look()
                except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                    self.complaints.append(f"a snapshot could not be read: {error!r}")
            self._done.wait(max(0.2, _REST * (time.monotonic() - began)))

    def stop(self) -> None:
        """End it."""
        self._done.set()
        self.join()

    def look(self) -> None:
        """Read one snapshot and complain of what is doubled in it; remember its holes."""
        columns = ["partition", "offset", "source", "id", "disposition"]
        table = DeltaLedgerReader(self._ledger).table(columns)
        partitions, offsets = table["partition"].to_numpy(), table["offset"].to_numpy()
        for partition in np.unique(partitions):
            mine = np.sort(offsets[partitions == partition])
            if len(np.unique(mine)) < len(mine):
                self.complaints.append(f"doubled offsets in partition {partition}")
            absent = np.setdiff1d(np.arange(mine[-1]), mine)
            self.holes.update((int(partition), int(offset)) for offset in absent)
        kept = [
            (source, name)
            for source, name, disposition in zip(
                *(table[column].to_pylist() for column in columns[2:]), strict=True
            )
            if disposition not in ("duplicate", "dead_letter")
        ]
        if len(set(kept)) < len(kept):
            self.complaints.append("doubled (source, id)")
        if table.num_rows < self._rows:
            self.complaints.append(f"{self._rows} rows became {table.num_rows}")
        self._rows = table.num_rows
        self.snapshots += 1


def compare(ledger: Path, found: Truth) -> tuple[dict[str, int], list[str]]:
    """The ledger beside the truth, record by record: figures, and what is wrong."""
    table = DeltaLedgerReader(ledger).table(["partition", "offset", "source", "id", "disposition"])
    rows = table.to_pylist()
    places = Counter((row["partition"], row["offset"]) for row in rows)
    expected = found.expected()
    decided = {
        (row["partition"], row["offset"]): row["disposition"]
        if row["disposition"] in ("duplicate", "dead_letter")
        else "kept"
        for row in rows
    }
    kept = Counter(
        (row["source"], row["id"])
        for row in rows
        if row["disposition"] not in ("duplicate", "dead_letter")
    )
    wanted = {name for name in found.received.values() if name is not None}
    figures = {
        "records": len(expected),
        "rows": len(rows),
        "missing by offset": len(expected.keys() - places.keys()),
        "doubled by offset": sum(places.values()) - len(places),
        "rows of no record": len(places.keys() - expected.keys()),
        "missing by (source, id)": len(wanted - {name for _, name in kept}),
        "doubled by (source, id)": kept.total() - len(kept),
        "decided otherwise": sum(decided.get(p, e) != e for p, e in expected.items()),
    }
    wrong = [f"{name}: {n}" for name, n in figures.items() if n and name not in ("records", "rows")]
    return figures, wrong
