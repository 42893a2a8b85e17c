"""Run a job folder to its result: launch, keep the lease alive, report progress, check the files."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from launchers.port import Launcher, Run
from schemas.digests import folder_digests
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobResult, JobSpec
from schemas.telemetry import Meter, Metric

_POLL_SECONDS = 0.1
_HEARTBEAT_SECONDS = 2.0
_GAUGES = {
    "loss": Metric.TRAINING_LOSS,
    "step": Metric.TRAINING_STEP,
    "tokens_per_second": Metric.TRAINING_TOKENS,
    "gpu_memory_bytes": Metric.GPU_MEMORY,
}


def write_job(folder: Path, spec: JobSpec) -> None:
    """Stage a job folder's spec; an earlier result of another attempt goes away."""
    (folder / "dataset").mkdir(parents=True, exist_ok=True)
    (folder / "result.json").unlink(missing_ok=True)
    (folder / "job.json").write_text(spec.model_dump_json())


def attempt(folder: Path, epoch: int) -> Path:
    """Where an attempt's files lie."""
    return folder / "attempts" / str(epoch)


class RunAttempt:
    """Watches attempts. `heartbeat` extends the lease and says whether to go on."""

    def __init__(self, launcher: Launcher, meter: Meter) -> None:
        self._launcher = launcher
        self._meter = meter

    def __call__(self, folder: Path, epoch: int, heartbeat: Callable[[], bool]) -> JobResult:
        """Run one job folder. Raises Unrecoverable with the trainer's own code if it failed."""
        return self.together([folder], epoch, heartbeat)[0]

    def together(
        self, folders: list[Path], epoch: int, heartbeat: Callable[[], bool]
    ) -> list[JobResult]:
        """Run several job folders at the same time; all have to succeed."""
        for folder in folders:
            shutil.rmtree(attempt(folder, epoch), ignore_errors=True)
        runs = [self._launcher.launch(folder, epoch) for folder in folders]
        try:
            self._watch(runs, folders, epoch, heartbeat)
        finally:
            for run in runs:
                run.cancel()
        return [_result(folder, epoch, run) for folder, run in zip(folders, runs, strict=True)]

    def _watch(
        self, runs: list[Run], folders: list[Path], epoch: int, heartbeat: Callable[[], bool]
    ) -> None:
        tails = [_progress(attempt(folder, epoch) / "progress.jsonl") for folder in folders]
        beat = 0.0
        while any(run.running() for run in runs):
            if time.monotonic() - beat > _HEARTBEAT_SECONDS:
                beat = time.monotonic()
                if not heartbeat():
                    raise Unrecoverable(Code.LEASE_LOST, str(folders[0]))
            for tail in tails:
                self._report(next(tail))
            time.sleep(_POLL_SECONDS)
        for tail in tails:
            self._report(next(tail))

    def _report(self, step: dict[str, Any]) -> None:
        for name, metric in _GAUGES.items():
            if name in step:
                self._meter.set(metric, float(step[name]))


def _progress(path: Path) -> Iterator[dict[str, Any]]:
    """The newest step each time it is asked for; {} while there is none."""
    read, latest = 0, dict[str, Any]()
    while True:
        if path.exists():
            with path.open() as handle:
                handle.seek(read)
                for line in handle:
                    if line.endswith("\n"):
                        read += len(line.encode())
                        latest = json.loads(line)
        yield latest


def _result(folder: Path, epoch: int, run: Run) -> JobResult:
    """The result, if it is this attempt's and its files are what it says."""
    path = folder / "result.json"
    if not path.exists():
        raise Unrecoverable(Code.TRAINING_FAILED, f"no result; {_last_line(run.log())}")
    result = JobResult.model_validate_json(path.read_bytes())
    if not result.ok:
        raise Unrecoverable(_code(result.error_code), result.error or "no reason given")
    if result.epoch != epoch:
        raise Unrecoverable(Code.LEASE_LOST, f"the result is of epoch {result.epoch}")
    found = folder_digests(attempt(folder, epoch))
    wrong = [name for name, digest in result.files.items() if found.get(name) != digest]
    if wrong:
        raise Unrecoverable(Code.DIGEST_MISMATCH, f"{folder}: {wrong[0]}")
    return result


def _code(number: str | None) -> Code:
    return next((code for code in Code if code.number == number), Code.TRAINING_FAILED)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was printed"
