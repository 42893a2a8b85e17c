"""What a run of a contender gave, and how a contender's process is run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bed import TOPIC, Bed
from benchmarks.job import Job, fingerprint, heard
from tests.processes import ROOT

_LIMIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: rows, wall-clock seconds, CPU microseconds an event."""

    rows: int
    seconds: float
    cpu_micros: float
    configuration: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.rows / self.seconds


def median_rate(runs: Sequence[Measurement]) -> float:
    """Events a second."""
    return statistics.median(run.rate for run in runs)


def median_cpu(runs: Sequence[Measurement]) -> float:
    """CPU microseconds an event."""
    return statistics.median(run.cpu_micros for run in runs)


def job_of(bed: Bed, folder: Path, cores: tuple[int, ...], variant: str = "") -> Job:
    """What a contender's process is told."""
    return Job(bed.broker.bootstrap, TOPIC, bed.events, cores, str(folder), variant)


def run_client(module: str, job: Job, bed: Bed, python: Path | str = sys.executable) -> Measurement:
    """Run a rival's process to its end. Ends the program if it returned other rows than it should."""
    done = subprocess.run(
        [str(python), "-m", f"benchmarks.{module}", job.text()],
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_SECONDS,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode:
        raise SystemExit(f"{module} {job.variant} failed:\n{done.stderr[-2000:]}")
    said = heard(done.stdout.strip().splitlines()[-1])
    _require(f"{module} {job.variant}", said, bed)
    return Measurement(
        rows=bed.events,
        seconds=float(str(said["seconds"])),
        cpu_micros=1e6 * float(str(said["cpu"])) / bed.events,
        configuration=str(said["configuration"]),
        versions=dict(said["versions"]),  # type: ignore[call-overload]
    )


def _require(name: str, said: Mapping[str, object], bed: Bed) -> None:
    if said["rows"] != bed.events:
        raise SystemExit(f"{name} returned {said['rows']} rows of {bed.events}")
    if said["ids"] not in (None, fingerprint(bed.ids)):
        raise SystemExit(f"{name} returned other ids than were published")
