"""Compare a model's recent window with its thresholds; make a job when one is crossed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection

from operations.make_job import make_job
from operations.settings import ModelSettings
from processors.drift.thresholds import Window, training_trigger
from processors.rollout.sequences import wilson
from schemas.telemetry import Meter, Metric
from stores.control import counters, jobs, rollouts
from stores.control.database import Database

ACTOR = "policy:thresholds@1"


class ConsiderTraining:
    """Asks the counters, decides, and makes at most one job."""

    def __init__(self, database: Database, meter: Meter) -> None:
        self._database = database
        self._meter = meter

    def __call__(self, model: ModelSettings, now: datetime) -> str | None:
        """The id of a job that was made now, or None."""
        window = self._database.read(lambda c: read_window(c, model, now))
        names = {"tenant": model.tenant, "model": model.name}
        self._meter.set(Metric.NEW_EXAMPLES, window.new_examples, **names)
        self._meter.set(Metric.FAILURE_RATIO, window.failure_rate or 0.0, **names)
        low, _ = wilson(window.failures, window.executions)
        if not model.base or training_trigger(window, model.thresholds, failure_low=low) is None:
            return None
        return self._database.write(lambda c: _make(c, model, now))


def _make(connection: Connection, model: ModelSettings, now: datetime) -> str | None:
    """Decide again inside the transaction that makes the job."""
    if _resting(connection, model, now):
        return None
    window = read_window(connection, model, now)
    low, _ = wilson(window.failures, window.executions)
    trigger = training_trigger(window, model.thresholds, failure_low=low)
    if trigger is None:
        return None
    return make_job(
        connection,
        model,
        trigger,
        now,
        recipe=model.recipe,
        validation=model.validation,
        requested_by=ACTOR,
    )


def _resting(connection: Connection, model: ModelSettings, now: datetime) -> bool:
    """One candidate at a time, and a rest after each job."""
    if rollouts.running(connection, model.tenant, model.name):
        return True
    last = jobs.latest(connection, model.tenant, model.name)
    if last is None:
        return False
    rest = timedelta(seconds=model.thresholds.cooldown_seconds)
    return not last.state.ended or last.updated_at + rest > now


def read_window(connection: Connection, model: ModelSettings, now: datetime) -> Window:
    """What the counters say of a model at this moment."""
    runs, corrections = counters.examples(connection, model.tenant, model.name)
    last = jobs.latest(connection, model.tenant, model.name)
    since = now.timestamp() - model.thresholds.failure_window_seconds
    executions, failures = counters.recent(connection, model.tenant, model.name, since)
    return Window(
        new_examples=runs + corrections - (last.examples_at if last else 0),
        new_corrections=corrections,
        executions=executions,
        failures=failures,
    )
