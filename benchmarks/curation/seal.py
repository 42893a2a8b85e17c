"""The seal of ledgers of 10,000 to 1,000,000 runs: time, memory, cost a row, leaks, and the digest again."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import log10
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import svg
from benchmarks.curation.seal_ledger import fill
from benchmarks.curation.seal_run import PHASES, WARM
from benchmarks.curation.section import Line, Picture, Section
from tests.processes import ROOT

RUNS = 1_000_000
_SIZES = {10_000: 3, 100_000: 1, 1_000_000: 1}
"""Runs in the ledger, and how often it is sealed: short ones are repeated for a median."""
_OTHERWISE = 1_000, 3_001
"""Rows a commit and rows a batch of the same ledger written and read in other pieces."""
_SECONDS, _MIB, _FLAT = 900.0, 6_144.0, 0.2
_PICTURE = "curation-seal.svg"
Say = Callable[[str], None]


class Trial(NamedTuple):
    """A ledger of so many `runs`, what its seals said (see `seal_run`), and what the checker found."""

    runs: int
    seals: Sequence[dict[str, Any]]
    checked: dict[str, int]
    gigabytes: float

    def micros(self, clock: str = "seconds", phase: str | None = None) -> float:
        """The median of the seals, in µs a run."""
        found = [each["phases"][phase] if phase else each for each in self.seals]
        return 1e6 * statistics.median(float(each[clock]) for each in found) / self.runs

    def peak(self) -> float:
        """MiB."""
        return max(float(each["peak"]) for each in self.seals)

    def sealed(self) -> int:
        """Examples in the dataset."""
        return sum(self.seals[0]["counts"].values())


def measure(data: Path, say: Say, runs: int = RUNS) -> Section:
    """See `benchmarks.curation.section`; `runs` ends it earlier. The ledgers are generated: `data` is not read."""
    del data
    sizes = {size: times for size, times in _SIZES.items() if size < runs} | {
        runs: _SIZES.get(runs, 1)
    }
    with tempfile.TemporaryDirectory(dir=os.environ.get("LORIKEET_BENCH_DIR")) as name:
        bench = _Bench(Path(name), say)
        again = bench.again(min(sizes))
        trials = [bench.trial(size, times) for size, times in sizes.items()]
    return Section(
        "Seal",
        [*_costs(trials), *_right(trials, again)],
        _text(trials),
        [Picture(_PICTURE, _picture(trials))],
    )


class _Bench:
    """A folder with a small ledger to warm up with, and one at a time to measure."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._small, self._place, self._say = folder / "small", folder / "place", say
        fill(self._small, WARM)

    def trial(self, runs: int, times: int) -> Trial:
        """Fill a ledger, seal it so many times, check the first dataset."""
        self._say(f"seal: a ledger of {runs:,} runs")
        place = _made(self._place)
        fill(place / "ledger", runs)
        gigabytes = sum(file.stat().st_size for file in place.rglob("*.parquet")) / 1e9
        seals = []
        for number in range(times):
            self._say(f"seal: {runs:,} runs, {number + 1} of {times}")
            seals.append(self._seal(_made(place / f"sealed-{number}"), runs))
        self._say(f"seal: {runs:,} runs, looking for leaks")
        checked = _child("check", place / "sealed-0", seals[0]["digest"])
        shutil.rmtree(place)
        return Trial(runs, seals, checked, gigabytes)

    def again(self, runs: int) -> str:
        """The digest of a window that is written and read in other pieces."""
        commit, batch = _OTHERWISE
        self._say(f"seal: {runs:,} runs in commits of {commit:,}, read {batch:,} at a time")
        place = _made(self._place)
        fill(place / "ledger", runs, commit)
        digest = self._seal(_made(place / "sealed"), runs, batch)["digest"]
        shutil.rmtree(place)
        return str(digest)

    def _seal(self, folder: Path, runs: int, *batch: int) -> dict[str, Any]:
        return _child("seal", self._small, self._place / "ledger", folder, runs, *batch)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _child(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.curation.seal_run", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _costs(trials: Sequence[Trial]) -> list[Line]:
    largest, costs = trials[-1], [trial.micros() for trial in trials]
    name = f"seal of {largest.runs:,} runs on 2 cores"
    seconds = largest.micros() * largest.runs / 1e6
    spread = max(costs) / min(costs) - 1
    return [
        Line(f"{name}: time", "≤ 15 min", f"{seconds / 60:.1f} min", seconds <= _SECONDS),
        Line(
            f"{name}: highest resident memory",
            "≤ 6 GiB",
            f"{largest.peak() / 1024:.2f} GiB",
            largest.peak() <= _MIB,
        ),
        Line(
            f"seal: cost a row from {trials[0].runs:,} to {largest.runs:,}",
            "flat within 20 %",
            f"{min(costs):.0f}–{max(costs):.0f} µs, {spread:.0%}",
            spread <= _FLAT,
        ),
    ]


def _right(trials: Sequence[Trial], again: str) -> list[Line]:
    groups = sum(trial.checked["groups"] for trial in trials)
    alike = sum(max(trial.checked["alike"], 0) for trial in trials)
    examples = sum(trial.checked["examples"] for trial in trials)
    digests = {again, *(each["digest"] for each in trials[0].seals)}
    return [
        Line(
            f"seal: groups across splits, {examples:,} examples, by an independent checker",
            "0",
            f"{groups}",
            groups == 0,
        ),
        Line(
            f"seal: alike prompts across splits, {trials[0].checked['examples']:,} examples compared exactly",
            "0",
            f"{alike}",
            alike == 0,
        ),
        Line(
            "seal: digests of one window, written and read in other pieces",
            "1",
            f"{len(digests)}",
            len(digests) == 1,
        ),
    ]


def _text(trials: Sequence[Trial]) -> str:
    commit, batch = _OTHERWISE
    first = statistics.median(each["first"] for trial in trials for each in trial.seals)
    return "\n".join(
        [
            f"![cost a row and memory against rows]({_PICTURE})",
            "",
            *_table(trials),
            "",
            "A row is a run or a plan; beside every ten lies one row of feedback: thumbs, judges' scores, decisions,",
            "edits. The events are generated (`seal_events.py`), curated by ingest's own code and committed by 50,000:",
            "five desks with their own tools, 2.7 KB of content a run, users of 1 to 30 runs, sessions of three, a tenth",
            "altered copies, one in fifty a copy. The recipe is the default one with room for all. Each seal is a process",
            "of its own on two cores, in a fresh installation, so it freezes the first golden set too. It seals a ledger of",
            f"{WARM} rows first, for what a process imports and makes once ({first:.1f} s of CPU) is no cost of a row. Memory is",
            "VmHWM. Columns by phase are µs a row; the rest is the manifest and what lies between. The smallest size is the",
            "median of three.",
            "",
            *_fates(trials[-1]),
            "",
            f"The same window was written {commit:,} rows a commit and read {batch:,} rows at a time for the digest.",
            f"pyarrow {version('pyarrow')}, deltalake {version('deltalake')}, numpy {version('numpy')}, scikit-learn {version('scikit-learn')}.",
        ]
    )


def _table(trials: Sequence[Trial]) -> list[str]:
    names = list(PHASES.values())
    head = ["rows", "ledger GB", "sealed", "seconds", "µs a row", "CPU µs a row", *names, "GiB"]
    return [
        f"| {' | '.join(head)} |",
        "|" + "--:|" * len(head),
        *(f"| {' | '.join(_cells(trial, names))} |" for trial in trials),
        f"| of which highest, GiB | | | | | | {' | '.join(_peaks(trials[-1], names))} | |",
    ]


def _cells(trial: Trial, names: Sequence[str]) -> list[str]:
    return [
        f"{trial.runs:,}",
        f"{trial.gigabytes:.2f}",
        f"{trial.sealed():,}",
        f"{trial.micros() * trial.runs / 1e6:.1f}",
        f"{trial.micros():.0f}",
        f"{trial.micros('cpu'):.0f}",
        *(f"{trial.micros(phase=name):.0f}" for name in names),
        f"{trial.peak() / 1024:.2f}",
    ]


def _peaks(trial: Trial, names: Sequence[str]) -> list[str]:
    return [f"{trial.seals[-1]['phases'][name]['peak'] / 1024:.2f}" for name in names]


def _fates(trial: Trial) -> list[str]:
    found = trial.seals[0]
    left = ", ".join(f"{count:,} {reason}" for reason, count in found["dropped"].items())
    counts = ", ".join(f"{count:,} {split}" for split, count in found["counts"].items())
    return [
        f"Of {trial.runs:,} rows: {counts}; {sum(found['pairs'].values()):,} preference pairs;",
        f"left out: {left}.",
    ]


def _picture(trials: Sequence[Trial]) -> str:
    places = [log10(trial.runs / trials[0].runs) for trial in trials]

    def curve(values: Sequence[float]) -> list[svg.Point]:
        return list(zip(places, values, strict=True))

    costs = [("whole", curve([trial.micros() for trial in trials]))]
    costs += [
        (name, curve([trial.micros(phase=name) for trial in trials]))
        for name in ("survey", "decide", "gather")
    ]
    memory = [("GiB", curve([trial.peak() / 1024 for trial in trials]))]
    ticks = [(place, f"{trial.runs:,}") for place, trial in zip(places, trials, strict=True)]
    return svg.lines(
        [("µs a row", costs), ("Highest resident memory", memory)], svg.Axis(ticks, "rows")
    )
