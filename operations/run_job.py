"""A worker takes a job to its end: seal, train, probe, validate, sign, register, begin the roll-out.

Each step can be repeated: after a crash another worker claims the job under a new epoch and goes
through the steps again; sealing gives the same dataset, and no attempt of an older epoch is believed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from operations.fetch_adapter import FetchAdapter
from operations.register_adapter import RegisterAdapter, start_rollout
from operations.run_attempt import RunAttempt, attempt, write_job
from operations.seal_dataset import SealDataset
from operations.settings import ModelSettings
from operations.validate_adapter import ValidateAdapter, Validated
from processors.evaluation.stages import ValidationSettings
from schemas.datasets import Manifest, Recipe
from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from schemas.jobs import JobSpec, JobState
from schemas.telemetry import Meter, Metric
from schemas.verdicts import Recommendation
from stores.control import jobs, registry
from stores.control.database import Database
from stores.control.jobs import Job
from stores.datasets.store import DatasetStore

LEASE_SECONDS = 15.0
MOST_ATTEMPTS = 5
"""How often a job that ends its worker is begun again."""
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Steps:
    """What a worker needs for the steps of a job."""

    seal: SealDataset
    run: RunAttempt
    validate: ValidateAdapter
    register: RegisterAdapter


class RunJob:
    """Claims and runs one job at a time."""

    def __init__(
        self,
        database: Database,
        store: DatasetStore,
        fetch: FetchAdapter,
        steps: Steps,
        folder: Path,
        owner: str,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._database = database
        self._store = store
        self._fetch = fetch
        self._steps = steps
        self._folder = folder
        self._owner = owner
        self._clock = clock
        self._meter = meter

    def __call__(self, models: Mapping[tuple[str, str], ModelSettings]) -> str | None:
        """Claim a job and take it to its end; its id, or None if there was none."""
        job = self._database.write(
            lambda c: jobs.claim(c, self._owner, self._clock(), LEASE_SECONDS)
        )
        if job is None:
            return None
        try:
            with _Heartbeat(lambda: self._extend(job)):
                self._work(job, models)
        except LorikeetError as error:
            if error.code is not Code.LEASE_LOST:
                self._fail(job, error)
        return job.id

    def _work(self, job: Job, models: Mapping[tuple[str, str], ModelSettings]) -> None:
        if job.epoch > MOST_ATTEMPTS:
            raise Unrecoverable(Code.TRAINING_FAILED, f"given up after {MOST_ATTEMPTS} attempts")
        model = models.get((job.tenant, job.model))
        if model is None:
            raise Unrecoverable(Code.NO_SUCH_MODEL, f"{job.tenant}/{job.model}")
        folder = self._folder / job.id
        spec = JobSpec.model_validate(job.spec)
        job = self._reach(job, JobState.INITIALIZING, "claimed")
        folder.mkdir(parents=True, exist_ok=True)
        job = self._reach(job, JobState.PREPARING_DATA, "")
        manifest = self._prepare(job, spec, folder)
        job = self._reach(
            job, JobState.TRAINING, f"dataset {manifest.version}", dataset_digest=manifest.digest
        )
        self._steps.run(folder, job.epoch, lambda: self._extend(job))
        job = self._reach(job, JobState.VALIDATING, "trained")
        self._finish(job, spec, model, manifest, folder)

    def _prepare(self, job: Job, spec: JobSpec, folder: Path) -> Manifest:
        recipe = Recipe.model_validate(job.recipe)
        manifest = self._steps.seal(
            job.tenant, job.model, recipe, job.offsets, self._clock(), job_id=job.id
        )
        write_job(folder, spec)
        self._store.fetch(manifest.digest, folder / "dataset")
        (folder / "sealed.json").write_text(manifest.model_dump_json())
        return manifest

    def _finish(
        self, job: Job, spec: JobSpec, model: ModelSettings, manifest: Manifest, folder: Path
    ) -> None:
        trained = attempt(folder, job.epoch) / "adapter"
        stable = self._database.read(lambda c: registry.champion(c, job.tenant, job.model))
        validated = self._steps.validate(
            folder,
            job.epoch,
            spec,
            adapter=trained,
            stable=self._fetch(stable) if stable else None,
            golden=self._store.golden(manifest.golden) if manifest.golden else [],
            settings=ValidationSettings.model_validate(job.validation),
            heartbeat=lambda: self._extend(job),
        )
        recommendation = str(validated.validation.recommendation)
        self._meter.count(Metric.VALIDATIONS, recommendation=recommendation)
        stored = self._steps.register.store(trained, model)
        report = self._steps.register.report(job, validated)
        record = json.loads((trained.parent / "expected.json").read_text())
        self._complete(job, spec, model, manifest, validated, stored, record, report)

    def _complete(
        self,
        job: Job,
        spec: JobSpec,
        model: ModelSettings,
        manifest: Manifest,
        validated: Validated,
        stored: dict[str, Any],
        record: list[dict[str, Any]],
        report: str,
    ) -> None:
        """Registry, roll-out, event and the job's end: one transaction."""
        now = self._clock()

        def work(connection: Any) -> None:
            version = self._steps.register.register(
                connection, job, spec, stored, manifest, validated, record, report, now
            )
            if _may_start(job, validated) and model.gateways:
                start_rollout(connection, model, version, now, decided_by="policy:validation@1")
            jobs.move(
                connection,
                job,
                JobState.COMPLETED,
                now,
                f"validation recommends {validated.validation.recommendation}",
                version=version.version,
            )

        self._database.write(work)
        self._meter.count(Metric.JOBS, state=JobState.COMPLETED.value)

    def _reach(self, job: Job, state: JobState, reason: str, **values: Any) -> Job:
        """Move forward to a state; a job taken over is moved only past where it stood."""
        order = list(JobState)
        if order.index(job.state) >= order.index(state):
            return job
        started = job.updated_at
        moved = self._database.write(
            lambda c: jobs.move(c, job, state, self._clock(), reason, **values)
        )
        self._meter.count(Metric.JOBS, state=state.value)
        seconds = (moved.updated_at - started).total_seconds()
        self._meter.observe(Metric.JOB_PHASE, seconds, phase=job.state.value)
        return moved

    def _extend(self, job: Job) -> bool:
        return self._database.write(lambda c: jobs.extend(c, job, self._clock(), LEASE_SECONDS))

    def _fail(self, job: Job, error: LorikeetError) -> None:
        def work(connection: Any) -> None:
            current = jobs.get(connection, job.id)
            if current is None or current.epoch != job.epoch or current.state.ended:
                return
            jobs.move(
                connection,
                current,
                JobState.FAILED,
                self._clock(),
                str(error),
                error_code=error.code.number,
                error=str(error),
            )

        try:
            self._database.write(work)
        except NotReady:
            return
        self._meter.count(Metric.JOBS, state=JobState.FAILED.value)


def _may_start(job: Job, validated: Validated) -> bool:
    watched = job.validation.get("mode") == "watch"
    return watched or validated.validation.recommendation is Recommendation.DEPLOY


class _Heartbeat(AbstractContextManager[None]):
    """Extends a lease from a thread of its own while a step keeps the main one busy."""

    def __init__(self, beat: Callable[[], bool]) -> None:
        self._beat = beat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            if not self._beat():
                return  # lost: the main thread finds out at its next transition
