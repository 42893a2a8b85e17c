"""One seal in a process of its own, and a second process that checks it. Each prints a line of JSON.

python -m benchmarks.curation.seal_run seal WARM LEDGER FOLDER RUNS [ROWS_A_BATCH]
python -m benchmarks.curation.seal_run check FOLDER DIGEST
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.cores import two_cores
from benchmarks.curation.seal_events import MODEL, offsets
from benchmarks.curation.seal_ledger import CLUSTER
from operations import seal_dataset
from operations.seal_dataset import SealDataset
from schemas.datasets import Example, Recipe
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.control.database import Database, sqlite_url
from stores.datasets.store import DatasetStore
from stores.ledger import scan
from tests.leaks import FACTS, alike_across, crossing_groups, leaks

PHASES = {
    "read_feedback": "feedback",
    "survey_window": "survey",
    "choose_golden": "golden",
    "decide": "decide",
    "gather": "gather",
    "figures": "statistics",
}
"""The steps of a seal that are timed: what `SealDataset` calls them, and what the page does."""
WARM = 500
"""Runs in the ledger that is sealed first."""
_NOW = datetime(2026, 2, 1, tzinfo=UTC)
_FEW = 20_000
"""Examples up to which prompts are compared with each other across the splits."""
_REFERENCES, _FORGET_PEAK = Path("/proc/self/clear_refs"), "5"
"""Linux sets the highest resident memory (VmHWM) back to what it is now."""


def recipe(runs: int) -> Recipe:
    """The default, but for the size: all that is good enough is sealed."""
    return Recipe(max_examples=runs)


def warm_up(ledger: Path, folder: Path) -> float:
    """Seal a small ledger first: what is imported and made once is no time of a row. The CPU seconds."""
    begin = _clocks()
    _operation(ledger, folder)(*_arguments(WARM))
    return _since(begin)["cpu"]


def seal(ledger: Path, folder: Path, runs: int) -> dict[str, Any]:
    """Seal a ledger into a fresh installation: what was sealed, seconds, CPU seconds and MiB, by phase."""
    operation = _operation(ledger, folder)
    meter = _Meter()
    with ExitStack() as patched:
        for step, phase in PHASES.items():
            timed = meter.timed(getattr(seal_dataset, step), phase)
            patched.enter_context(patch.object(seal_dataset, step, timed))
        begin = _clocks()
        manifest = operation(*_arguments(runs))
        whole = _since(begin)
    fields = manifest.model_dump(mode="json", include={"digest", "counts", "pairs", "dropped"})
    return {**fields, **whole, "peak": meter.highest(), "phases": meter.phases}


def _operation(ledger: Path, folder: Path) -> SealDataset:
    database = Database(sqlite_url(folder / "control.db"))
    return SealDataset(database, ledger, _store(folder), NoMeter(), folder / "scratch")


def _arguments(runs: int) -> tuple[str, str, Recipe, dict[str, int], datetime]:
    return "default", MODEL, recipe(runs), offsets(CLUSTER, runs), _NOW


def check(folder: Path, digest: str) -> dict[str, int]:
    """What leaks across the dataset's splits, by a checker that shares no code with the seal.

    `alike` counts pairs of prompts across splits that resemble each other, −1 where there are too many.
    """
    rows, texts = [], []
    few = sum(_store(folder).manifest(digest).counts.values()) <= _FEW
    for example in _store(folder).examples(digest):
        facts = {name: getattr(example, name) for name in (*FACTS, "prompt_digest")}
        rows.append({**facts, "split": str(example.split)})
        if few:
            texts.append(_prompt(example))
    found = {"examples": len(rows), "values": len(leaks(rows, rows[0].keys() - {"split"}))}
    found["groups"] = crossing_groups(rows, rows[0].keys() - {"split"})
    parts = [row["split"] for row in rows]
    threshold = recipe(1).near_duplicate
    return {**found, "alike": len(alike_across(texts, parts, threshold)) if few else -1}


def _prompt(example: Example) -> str:
    first = [turn["role"] for turn in example.messages].index("assistant")
    said = [turn["content"] for turn in example.messages[:first] if turn["role"] == "user"]
    return " ".join(" ".join(said).lower().split())


def _store(folder: Path) -> DatasetStore:
    return DatasetStore(ObjectFolder(f"file://{folder / 'objects'}"))


class _Meter:
    """Seconds, CPU seconds and MiB of resident memory at its highest, of each step and of all."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, float]] = {}
        self._highest = 0.0

    def timed(self, step: Callable[..., Any], phase: str) -> Callable[..., Any]:
        """The step, its cost noted."""

        def measured(*arguments: Any, **named: Any) -> Any:
            self._highest = max(self._highest, _peak())
            _REFERENCES.write_text(_FORGET_PEAK)
            begin = _clocks()
            found = step(*arguments, **named)
            self.phases[phase] = {**_since(begin), "peak": _peak()}
            self._highest = max(self._highest, _peak())
            return found

        return measured

    def highest(self) -> float:
        """MiB, since the process began."""
        return max(self._highest, _peak())


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begin: tuple[float, float]) -> dict[str, float]:
    return dict(zip(("seconds", "cpu"), np.subtract(_clocks(), begin).tolist(), strict=True))


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(command: str, *arguments: str) -> None:
    """Do it in this process, and say what was found."""
    if command == "seal":
        os.sched_setaffinity(0, two_cores())
        warm, ledger, folder, runs, *batch = arguments
        first = warm_up(Path(warm), Path(folder) / "warm")
        with patch.object(scan, "_BATCH", int(batch[0]) if batch else scan._BATCH):  # noqa: SLF001
            found: Mapping[str, Any] = seal(Path(ledger), Path(folder), int(runs))
        found = {**found, "first": first}
    else:
        found = check(Path(arguments[0]), arguments[1])
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
