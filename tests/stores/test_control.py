"""Jobs, registry, roll-outs, outbox: legal transitions only, once each, nothing half done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from schemas.jobs import NEXT_STATES, JobState
from schemas.rollouts import ROLLOUT_TRANSITIONS, RolloutState, Route, Stage
from stores.control import jobs, outbox, registry, rollouts
from stores.control.database import Database
from stores.control.jobs import Job
from tests.installation import ACTOR, MODEL, NOW, canary, database, register


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return database(tmp_path)


def make_job(store: Database, job_id: str = "j1", model: str = "m") -> bool:
    values: dict[str, Any] = {
        "id": job_id,
        "tenant": "default",
        "model": model,
        "trigger": "manual",
        "detail": "test",
        "offsets": {"c:t:0": 5},
        "recipe": {},
        "spec": {},
        "validation": {},
        "examples_at": 3,
        "requested_by": "user:me",
        "epoch": 0,
    }
    return store.write(lambda c: jobs.create(c, NOW, **values))


def claim(store: Database, owner: str, seconds: float = 0.0) -> Job | None:
    return store.write(lambda c: jobs.claim(c, owner, NOW + timedelta(seconds=seconds), 10))


def move(store: Database, job: Job, state: JobState) -> Job:
    return store.write(lambda c: jobs.move(c, job, state, NOW, "on"))


def test_the_same_job_is_made_once_and_one_a_model_is_open(store: Database) -> None:
    assert make_job(store)
    assert not make_job(store)
    with pytest.raises(NotReady) as caught:
        make_job(store, "j2")
    assert caught.value.code is Code.JOB_EXISTS
    assert make_job(store, "j3", model="other")


def test_a_job_is_claimed_by_one_and_taken_over_when_the_lease_ends(store: Database) -> None:
    make_job(store)
    first = claim(store, "a")
    assert first is not None
    assert first.epoch == 1
    assert claim(store, "b", 5) is None
    assert store.write(lambda c: jobs.extend(c, first, NOW + timedelta(seconds=8), 10))
    assert claim(store, "b", 15) is None
    second = claim(store, "b", 19)
    assert second is not None
    assert second.epoch == 2
    assert not store.write(lambda c: jobs.extend(c, first, NOW, 10)), "the late one is told"
    with pytest.raises(NotReady) as caught:
        store.write(lambda c: jobs.move(c, first, JobState.INITIALIZING, NOW))
    assert caught.value.code is Code.LEASE_LOST


def test_every_legal_job_path_is_recorded_and_every_other_refused(store: Database) -> None:
    make_job(store)
    job = claim(store, "a")
    assert job is not None
    path = [JobState.PENDING]
    while following := NEXT_STATES.get(job.state):
        for state in JobState:
            if state not in following and state not in (JobState.FAILED, JobState.CANCELLED):
                with pytest.raises(LorikeetError):
                    move(store, job, state)
        (state,) = following
        job = move(store, job, state)
        path.append(state)
    history = store.read(lambda c: jobs.transitions(c, "j1"))
    assert [JobState(step["state"]) for step in history] == path
    assert job.state is JobState.COMPLETED
    assert claim(store, "b", 100) is None
    assert make_job(store, "j2"), "the next one may be made now"


def test_a_version_is_registered_once_and_moves_by_compare_and_set(store: Database) -> None:
    def work(connection: Connection) -> registry.AdapterVersion:
        return register(connection, "1.0.0", Stage.DEVELOPMENT)

    version = store.write(work)
    assert not store.write(
        lambda c: registry.register(
            c, NOW, ACTOR, tenant="default", model="m", version="1.0.0", job_id="job-1.0.0"
        )
    )
    store.write(lambda c: registry.move(c, version, Stage.STAGING, NOW, ACTOR, "validated"))
    with pytest.raises(NotReady) as caught:
        store.write(lambda c: registry.move(c, version, Stage.ARCHIVED, NOW, ACTOR, "stale"))
    assert caught.value.code is Code.STALE_WRITE
    stages = [h["to_stage"] for h in store.read(lambda c: registry.history(c, "default", "m"))]
    assert stages == ["DEVELOPMENT", "STAGING"]


def test_versions_count_up_past_nine(store: Database) -> None:
    for minor in (0, 1, 10, 9):
        store.write(lambda c: register(c, f"1.{minor}.0"))
    assert store.read(lambda c: registry.next_version(c, "default", "m")) == "1.11.0"
    assert store.read(lambda c: registry.next_version(c, "default", "new")) == "1.0.0"


def test_only_a_staged_version_can_begin_a_rollout(store: Database) -> None:
    from operations.register_adapter import start_rollout

    version = store.write(lambda c: register(c, "1.0.0", Stage.DEVELOPMENT))
    with pytest.raises(Unrecoverable) as caught:
        store.write(lambda c: start_rollout(c, MODEL, version, NOW, decided_by=ACTOR))
    assert caught.value.code is Code.GATE_CLOSED
    assert store.read(outbox.pending) == [], "a refused start announces nothing"


def test_illegal_rollout_transitions_are_refused(store: Database) -> None:
    rollout = store.write(lambda c: canary(c, "1.0.0"))
    for state in RolloutState:
        if state not in ROLLOUT_TRANSITIONS[RolloutState.CANARY]:
            with pytest.raises(Unrecoverable):
                store.write(lambda c: rollouts.move(c, rollout, state, NOW, ACTOR, "no"))
    store.write(lambda c: rollouts.move(c, rollout, RolloutState.ABORTED, NOW, ACTOR, "stop"))
    with pytest.raises(NotReady):
        store.write(lambda c: rollouts.move(c, rollout, RolloutState.PROMOTED, NOW, ACTOR, "late"))


def test_one_rollout_of_a_model_runs(store: Database) -> None:
    store.write(lambda c: canary(c, "1.0.0"))
    with pytest.raises(NotReady):
        store.write(lambda c: canary(c, "1.1.0"))


def test_a_route_gets_the_next_revision_and_converges_once(store: Database) -> None:
    route = Route(tenant_id="default", model="m", revision=0, weights={"stable": 1.0}, arms={})

    def publish(connection: Connection) -> int:
        return rollouts.set_route(
            connection, route, NOW, decision_id="d", action="promote"
        ).revision

    assert [store.write(publish), store.write(publish)] == [0, 1]
    assert not store.write(lambda c: rollouts.mark_converged(c, "default", "m", 0, NOW))
    assert store.write(lambda c: rollouts.mark_converged(c, "default", "m", 1, NOW))
    assert not store.write(lambda c: rollouts.mark_converged(c, "default", "m", 1, NOW))


def test_an_event_is_added_once_and_published_in_order(store: Database) -> None:
    def add(kind: str) -> str:
        return store.write(
            lambda c: outbox.add(
                c, NOW, type=kind, tenant="t", model="m", decision_id="d", payload={}
            )
        )

    first, second = add("model.promoted"), add("model.route")
    assert add("model.promoted") == first, "the same decision is the same event"
    assert [event.id for event in store.read(outbox.pending)] == [first, second]
    assert store.write(lambda c: outbox.mark(c, [first], NOW)) == ["model.promoted"]
    assert store.write(lambda c: outbox.mark(c, [first, "unknown"], NOW)) == []
    assert [event.id for event in store.read(outbox.pending)] == [second]


def test_a_confirmed_position_is_the_last_one_also_of_a_topic_made_anew(store: Database) -> None:
    for offset in (3, 7, 5):
        store.write(lambda c: outbox.confirm(c, "t", {0: offset}))
    assert store.read(lambda c: outbox.positions(c, "t")) == {0: 5}
