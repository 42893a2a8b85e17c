"""When to train: thresholds make one job, with its offsets frozen; people ask with words of their own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from operations.consider_training import ConsiderTraining
from operations.request_training import RequestTraining
from operations.settings import ModelSettings
from processors.drift.thresholds import Thresholds
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobState
from schemas.telemetry import NoMeter
from stores.control import counters, jobs
from stores.control.database import Database
from tests.installation import canary, database
from tests.support import NOW, row


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return database(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> ModelSettings:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    limits = Thresholds(
        new_examples=100,
        min_new_examples=20,
        failure_rate=0.5,
        failure_min_executions=30,
        failure_window_seconds=3600,
    )
    return ModelSettings(name="m", base=str(base), thresholds=limits)


def fill(store: Database, count: int, successes: int, *, start: int = 0) -> None:
    version = store.read(counters.cursor) + 1
    rows: list[dict[str, Any]] = [
        row(
            start + number,
            model="m",
            success=number < successes,
            disposition="accepted" if number < successes else "rejected",
            event_time=NOW - timedelta(seconds=60),
        )._asdict()
        for number in range(count)
    ]
    offsets = {"c:execution.completed:0": start + count}
    store.write(lambda c: counters.apply(c, version, rows, offsets))


def cancel(store: Database) -> None:
    def work(connection: Connection) -> None:
        job = jobs.claim(connection, "w", NOW, 10)
        assert job is not None
        jobs.move(connection, job, JobState.CANCELLED, NOW)

    store.write(work)


def consider(store: Database, model: ModelSettings, minutes: float = 0.0) -> str | None:
    return ConsiderTraining(store, NoMeter())(model, NOW + timedelta(minutes=minutes))


def test_enough_new_examples_make_one_job_with_frozen_offsets(
    store: Database, model: ModelSettings
) -> None:
    fill(store, 99, 99)
    assert consider(store, model) is None
    fill(store, 1, 1, start=99)
    made = consider(store, model)
    assert made is not None
    assert consider(store, model) is None, "asking twice makes one job"
    fill(store, 50, 50, start=100)
    job = store.read(lambda c: jobs.get(c, made))
    assert job is not None
    assert job.trigger == "new_examples"
    assert job.offsets == {"c:execution.completed:0": 100}
    assert job.examples_at == 100


def test_failures_count_as_drift_only_when_even_the_lower_bound_is_above(
    store: Database, model: ModelSettings
) -> None:
    fill(store, 50, 24)
    assert consider(store, model) is None, "26 of 50 could be chance"
    fill(store, 50, 5, start=50)
    made = consider(store, model)
    assert made is not None
    job = store.read(lambda c: jobs.get(c, made))
    assert job is not None
    assert job.trigger == "failure_rate"


def test_failures_without_new_examples_train_nothing(store: Database, model: ModelSettings) -> None:
    fill(store, 100, 5)
    assert consider(store, model) is None


def test_old_failures_are_outside_the_window(store: Database, model: ModelSettings) -> None:
    fill(store, 100, 25)
    assert consider(store, model, minutes=90) is None


def test_there_is_a_rest_after_a_job_and_one_candidate_at_a_time(
    store: Database, model: ModelSettings
) -> None:
    fill(store, 100, 100)
    made = consider(store, model)
    job = store.write(lambda c: jobs.claim(c, "w", NOW, 10))
    assert job is not None
    store.write(lambda c: jobs.move(c, job, JobState.FAILED, NOW, "x"))
    fill(store, 100, 100, start=100)
    assert consider(store, model, minutes=30) is None, "resting"
    rollout = store.write(lambda c: canary(c, "1.0.0"))
    assert rollout.model == model.name
    assert consider(store, model, minutes=61) is None, "a candidate is on its way"
    assert made is not None


def test_a_person_may_ask_for_a_window_and_watch_only(
    store: Database, model: ModelSettings
) -> None:
    fill(store, 10, 10)
    ask = RequestTraining(store)
    since = NOW - timedelta(hours=1)
    made = ask(model, NOW, actor="user:me", since=since, validation="watch")
    assert ask(model, NOW, actor="user:you") == made, "the open job is named"
    job = store.read(lambda c: jobs.get(c, made))
    assert job is not None
    assert job.recipe["since"] == since.isoformat().replace("+00:00", "Z")
    assert job.validation["mode"] == "watch"
    assert job.requested_by == "user:me"
    assert "watch" in job.detail


def test_a_model_without_a_base_cannot_be_trained(store: Database) -> None:
    fill(store, 200, 200)
    model = ModelSettings(name="m")
    assert consider(store, model) is None
    with pytest.raises(Unrecoverable) as caught:
        RequestTraining(store)(model, NOW, actor="user:me")
    assert caught.value.code is Code.NO_BASE


def test_the_job_id_says_what_the_job_depends_on(store: Database, model: ModelSettings) -> None:
    fill(store, 10, 10)
    ask = RequestTraining(store)
    made = [ask(model, NOW, actor="user:me")]
    for changed in (
        model.model_copy(update={"seed": 1}),
        model.model_copy(update={"recipe": model.recipe.model_copy(update={"seed": 2})}),
        model.model_copy(update={"sft": model.sft.model_copy(update={"learning_rate": 1.0})}),
    ):
        cancel(store)
        made.append(ask(changed, NOW, actor="user:me"))
    assert len(set(made)) == len(made)
    cancel(store)
    with pytest.raises(Unrecoverable) as caught:
        ask(model, NOW, actor="user:me")
    assert caught.value.code is Code.NO_NEW_DATA, "the very same job was done"
