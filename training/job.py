"""The job folder, seen from the trainer: the spec in, progress and a result out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.digests import folder_digests
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobResult, JobSpec


class JobFolder:
    """One attempt at one job. Everything is written below `attempts/<epoch>/`, the result last."""

    def __init__(self, path: Path, epoch: int) -> None:
        """Read the spec. Raises Unrecoverable(BAD_JOB) for a folder that breaks the contract."""
        self.path = path
        self.epoch = epoch
        try:
            self.spec = JobSpec.model_validate_json((path / "job.json").read_bytes())
        except (OSError, ValidationError) as error:
            raise Unrecoverable(Code.BAD_JOB, f"{path}/job.json: {error}") from error
        self.dataset = path / "dataset"
        self.attempt = path / "attempts" / str(epoch)
        self.attempt.mkdir(parents=True, exist_ok=True)
        self._progress = (self.attempt / "progress.jsonl").open("w", buffering=1)
        self._started = time.monotonic()

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The objects of a JSON-lines input."""
        path = self.dataset / name
        if not path.exists():
            raise Unrecoverable(Code.BAD_JOB, f"{path} is missing")
        for line in path.read_text().splitlines():
            if line.strip():
                yield json.loads(line)

    def progress(self, **values: Any) -> None:
        """Report one step."""
        values["seconds"] = round(time.monotonic() - self._started, 3)
        self._progress.write(json.dumps(values) + "\n")

    def write(self, name: str, value: Any) -> None:
        """Write a JSON output of this attempt."""
        (self.attempt / name).write_text(json.dumps(value, ensure_ascii=False))

    def finish(self, summary: dict[str, Any]) -> None:
        """Name every file of the attempt with its digest, then publish the result at once."""
        self._progress.close()
        self._publish(
            JobResult(
                job_id=self.spec.job_id,
                epoch=self.epoch,
                ok=True,
                files=folder_digests(self.attempt),
                summary={**summary, "seconds": round(time.monotonic() - self._started, 3)},
            )
        )

    def fail(self, code: str, message: str) -> None:
        """Publish that it failed, and why."""
        self._progress.close()
        self._publish(
            JobResult(
                job_id=self.spec.job_id,
                epoch=self.epoch,
                ok=False,
                error_code=code,
                error=message,
            )
        )

    def _publish(self, result: JobResult) -> None:
        draft = self.attempt / "result.json.part"
        with draft.open("w") as handle:
            handle.write(result.model_dump_json())
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(self.path / "result.json")
