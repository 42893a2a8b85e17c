"""Roll-outs: each step is one transaction with its event; evidence decides, people may stop."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from operations.advance_rollout import AdvanceRollout
from operations.approve_rollout import ApproveRollout
from operations.register_adapter import start_rollout
from operations.roll_back import RollBack
from operations.settings import ModelSettings
from processors.rollout.decide import Action
from schemas import lifecycle
from schemas.errors import Code, Unrecoverable
from schemas.rollouts import RolloutState, Stage
from schemas.telemetry import NoMeter
from stores.control import counters, outbox, registry, rollouts
from stores.control.database import Database
from tests.installation import ACTOR, MODEL, NOW, canary, database, register
from tests.support import row

KEY = (MODEL.tenant, MODEL.name)


@pytest.fixture
def store(tmp_path: Path) -> Database:
    return database(tmp_path)


class Sessions:
    """Adds sessions to a roll-out's arms as the ledger would."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._version = 0
        self._count = 0

    def add(self, rollout_id: str, arm: str, n: int, successes: int, **facts: str) -> None:
        rows: list[dict[str, Any]] = []
        for number in range(n):
            self._count += 1
            changes = {
                "model": MODEL.name,
                "arm": arm,
                "rollout_id": rollout_id,
                "session": f"s{self._count}",
                "success": number < successes,
                "valid": number < successes,
                "trust": "internal",
            }
            rows.append(row(self._count, **{**changes, **facts})._asdict())
        self._version += 1
        self._store.write(lambda c: counters.apply(c, self._version, rows, {}))


@pytest.fixture
def sessions(store: Database) -> Sessions:
    return Sessions(store)


def begin(store: Database, version: str = "1.0.0", model: ModelSettings = MODEL) -> str:
    found = store.write(lambda c: register(c, version))
    return store.write(lambda c: start_rollout(c, model, found, NOW, decided_by=ACTOR))


def converge(store: Database) -> None:
    desired = store.read(lambda c: rollouts.route(c, *KEY))
    assert desired is not None
    store.write(lambda c: rollouts.mark_converged(c, *KEY, desired.revision, NOW))


def kinds(store: Database) -> list[str]:
    return [event.type for event in store.read(outbox.pending)]


def tick(store: Database, seconds: float = 1.0, model: ModelSettings = MODEL) -> Action:
    found = AdvanceRollout(store, NoMeter())(model, NOW + timedelta(seconds=seconds))
    assert found is not None
    return found.action


def test_a_candidate_reaches_promotion_on_evidence_alone(
    store: Database, sessions: Sessions
) -> None:
    rollout_id = begin(store)
    assert tick(store) is Action.HOLD, "no gateway has it yet"
    converge(store)
    assert tick(store) is Action.ADVANCE
    assert tick(store) is Action.HOLD, "nothing was mirrored"
    sessions.add(rollout_id, "shadow", 100, 98)
    assert tick(store) is Action.ADVANCE
    route = store.read(lambda c: rollouts.route(c, *KEY))
    assert route is not None
    assert route.route.weights == {"candidate": 0.2, "baseline": 0.2, "stable": 0.6}
    assert route.route.arms["baseline"] == route.route.arms["stable"]
    sessions.add(rollout_id, "candidate", 110, 100)
    sessions.add(rollout_id, "baseline", 110, 30)
    assert tick(store) is Action.ADVANCE
    assert tick(store) is Action.HOLD, "the new step has no sessions yet"
    sessions.add(rollout_id, "candidate", 80, 72)
    sessions.add(rollout_id, "baseline", 80, 20)
    assert tick(store) is Action.PROMOTE
    champion = store.read(lambda c: registry.champion(c, *KEY))
    assert champion is not None
    assert (champion.version, champion.stage) == ("1.0.0", Stage.PRODUCTION)
    assert kinds(store).count(lifecycle.PROMOTED) == 1
    event = next(e for e in store.read(outbox.pending) if e.type == lifecycle.PROMOTED)
    metric = event.payload["evidence"]["metrics"][0]
    assert (metric["n_candidate"], metric["n_stable"]) == (190, 190)
    assert metric["low"] > 0
    assert event.payload["previous"] is None
    assert AdvanceRollout(store, NoMeter())(MODEL, NOW) is None


def test_harm_sends_a_canary_back_with_its_evidence(store: Database, sessions: Sessions) -> None:
    rollout = store.write(lambda c: canary(c, "1.0.0"))
    sessions.add(rollout.id, "candidate", 120, 20)
    sessions.add(rollout.id, "baseline", 120, 100)
    assert tick(store) is Action.ROLL_BACK
    event = next(e for e in store.read(outbox.pending) if e.type == lifecycle.ROLLED_BACK)
    assert event.payload["reason"] == "metric"
    assert event.payload["from"]["version"] == "1.0.0"
    assert event.payload["to"] is None, "the base model serves again"
    assert event.payload["evidence"]["verdict"] == "fail"
    desired = store.read(lambda c: rollouts.route(c, *KEY))
    assert desired is not None
    assert desired.route.weights == {"stable": 1.0}
    assert desired.detected_at is not None
    archived = store.read(lambda c: registry.require(c, *KEY, "1.0.0"))
    assert archived.stage is Stage.ARCHIVED


def test_gateways_that_do_not_converge_abort_the_candidate(store: Database) -> None:
    begin(store)
    store.write(lambda c: rollouts.note_replica(c, *KEY, "http://g", -1, "E7702 off", NOW))
    assert tick(store, MODEL.rollout.converge_seconds - 1) is Action.HOLD
    assert tick(store, MODEL.rollout.converge_seconds + 1) is Action.ABORT
    event = next(e for e in store.read(outbox.pending) if e.type == lifecycle.ARCHIVED)
    assert event.payload["reason"] == "not_converged"
    assert lifecycle.PROMOTED not in kinds(store)


def test_no_traffic_never_promotes_and_ends_at_the_deadline(store: Database) -> None:
    store.write(lambda c: canary(c, "1.0.0"))
    assert tick(store, 3600 * 23.9) is Action.HOLD
    assert tick(store, 3600 * 24.1) is Action.ABORT


def test_a_shadow_of_invalid_answers_is_vetoed(store: Database, sessions: Sessions) -> None:
    rollout_id = begin(store)
    converge(store)
    tick(store)
    sessions.add(rollout_id, "shadow", 100, 40)
    assert tick(store) is Action.ABORT


def test_a_crash_in_the_middle_of_a_step_leaves_the_step_undone(
    store: Database, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = store.write(lambda c: canary(c, "1.0.0"))
    sessions.add(rollout.id, "candidate", 200, 190)
    sessions.add(rollout.id, "baseline", 200, 60)
    before = kinds(store)

    def crash(*_: Any, **__: Any) -> str:
        raise RuntimeError("crash between registry and event")

    monkeypatch.setattr("operations.announce.announce", crash)
    with pytest.raises(RuntimeError):
        tick(store)
    monkeypatch.undo()
    assert kinds(store) == before
    assert store.read(lambda c: registry.champion(c, *KEY)) is None
    assert tick(store) is Action.PROMOTE, "the next tick does it"


def test_promotion_waits_for_a_person_where_it_is_not_automatic(
    store: Database, sessions: Sessions
) -> None:
    by_hand = MODEL.model_copy(
        update={"rollout": MODEL.rollout.model_copy(update={"auto_promote": False})}
    )
    version = store.write(lambda c: register(c, "1.0.0"))
    rollout_id = store.write(lambda c: start_rollout(c, by_hand, version, NOW, decided_by=ACTOR))
    converge(store)
    tick(store)
    sessions.add(rollout_id, "shadow", 100, 100)
    tick(store)
    approve = ApproveRollout(store)
    with pytest.raises(Unrecoverable) as caught:
        approve(rollout_id, NOW, actor="user:me")
    assert caught.value.code is Code.GATE_CLOSED, "approval does not replace evidence"
    for _ in range(2):
        sessions.add(rollout_id, "candidate", 100, 90)
        sessions.add(rollout_id, "baseline", 100, 30)
        tick(store)
    assert tick(store, 3600 * 48) is Action.HOLD, "ready, and it may wait"
    assert approve(rollout_id, NOW, actor="user:me") is RolloutState.PROMOTED
    event = next(e for e in store.read(outbox.pending) if e.type == lifecycle.PROMOTED)
    assert event.payload["decided_by"] == "user:me"


def _promoted(store: Database, version: str) -> None:
    rollout = store.write(lambda c: canary(c, version))
    many = Sessions(store)
    many._version = store.read(counters.cursor)
    many._count = 1000 * (1 + many._version)
    many.add(rollout.id, "candidate", 200, 190)
    many.add(rollout.id, "baseline", 200, 60)
    assert tick(store) is Action.PROMOTE


def test_a_promoted_model_returns_to_the_one_before(store: Database) -> None:
    _promoted(store, "1.0.0")
    _promoted(store, "1.1.0")
    roll_back = RollBack(store, NoMeter())
    assert roll_back(MODEL, NOW, actor="user:me", reason="complaints") == "1.0.0"
    champion = store.read(lambda c: registry.champion(c, *KEY))
    assert champion is not None
    assert champion.version == "1.0.0"
    assert champion.stage is Stage.PRODUCTION
    event = [e for e in store.read(outbox.pending) if e.type == lifecycle.ROLLED_BACK][-1]
    assert event.payload["from"]["version"] == "1.1.0"
    assert event.payload["to"]["version"] == "1.0.0"
    assert roll_back(MODEL, NOW, actor="user:me", reason="again", to="base") == "base"
    assert store.read(lambda c: registry.champion(c, *KEY)) is None
    with pytest.raises(Unrecoverable) as caught:
        roll_back(MODEL, NOW, actor="user:me", reason="once more")
    assert caught.value.code is Code.NOTHING_TO_ROLL_BACK
    ids = [e.id for e in store.read(lambda c: outbox.pending(c, 1000))]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"base_digest": "another"}, Code.OTHER_BASE),
        ({"signature_uri": None}, Code.GATE_CLOSED),
        ({}, Code.GATE_CLOSED),
    ],
)
def test_a_rollback_refuses_what_may_not_serve(
    store: Database, changes: dict[str, Any], code: Code
) -> None:
    store.write(lambda c: register(c, "0.9.0", **changes))
    _promoted(store, "1.0.0")
    with pytest.raises(Unrecoverable) as caught:
        RollBack(store, NoMeter())(MODEL, NOW, actor="user:me", reason="x", to="0.9.0")
    assert caught.value.code is code


def test_stopping_by_hand_is_a_rollback_once_users_met_it(store: Database) -> None:
    first = begin(store)

    def stop(rollout: str) -> RolloutState:
        return RollBack(store, NoMeter()).stop(rollout, NOW, actor="user:me", reason="no")

    assert stop(first) is RolloutState.ABORTED
    second = store.write(lambda c: canary(c, "1.1.0"))
    assert stop(second.id) is RolloutState.ROLLED_BACK
    reasons = [
        e.payload["reason"]
        for e in store.read(outbox.pending)
        if e.type in (lifecycle.ARCHIVED, lifecycle.ROLLED_BACK)
    ]
    assert reasons == ["manual", "manual"]


def test_a_rollback_repeated_goes_nowhere(store: Database) -> None:
    """A retry after a timeout must not bring the harmful version back."""
    _promoted(store, "1.0.0")
    _promoted(store, "1.1.0")
    roll_back = RollBack(store, NoMeter())
    assert roll_back(MODEL, NOW, actor="user:me", reason="harm") == "1.0.0"
    with pytest.raises(Unrecoverable) as caught:
        roll_back(MODEL, NOW, actor="user:me", reason="harm")
    assert caught.value.code is Code.NOTHING_TO_ROLL_BACK
    champion = store.read(lambda c: registry.champion(c, *KEY))
    assert champion is not None
    assert champion.version == "1.0.0"
    assert roll_back(MODEL, NOW, actor="user:me", reason="named", to="1.1.0") == "1.1.0"


def test_a_rollback_is_no_way_around_the_evidence(store: Database) -> None:
    _promoted(store, "1.0.0")
    store.write(lambda c: register(c, "1.1.0"))
    thrown_out = store.write(lambda c: canary(c, "1.2.0"))
    roll_back = RollBack(store, NoMeter())
    roll_back.stop(thrown_out.id, NOW, actor="user:me", reason="harm")
    for version in ("1.1.0", "1.2.0"):
        with pytest.raises(Unrecoverable) as caught:
            roll_back(MODEL, NOW, actor="user:me", reason="x", to=version)
        assert caught.value.code is Code.GATE_CLOSED
        assert "never promoted" in str(caught.value)


def test_a_rollback_in_the_first_canary_returns_to_the_base(store: Database) -> None:
    store.write(lambda c: canary(c, "1.0.0"))
    roll_back = RollBack(store, NoMeter())
    assert roll_back(MODEL, NOW, actor="user:me", reason="harm") == "base"
    assert store.read(lambda c: rollouts.running(c, *KEY)) is None
    with pytest.raises(Unrecoverable) as caught:
        roll_back(MODEL, NOW, actor="user:me", reason="harm")
    assert caught.value.code is Code.NOTHING_TO_ROLL_BACK


def test_a_start_repeated_changes_nothing(store: Database) -> None:
    rollout_id = begin(store)
    converge(store)
    tick(store)
    before = (store.read(lambda c: rollouts.route(c, *KEY)), kinds(store))
    again = ApproveRollout(store).start(MODEL, "1.0.0", NOW, actor="user:me")
    assert again == rollout_id
    assert (store.read(lambda c: rollouts.route(c, *KEY)), kinds(store)) == before


@pytest.mark.parametrize(
    "foreign",
    [{"tenant": "evil"}, {"model": "other"}, {"trust": "unknown"}, {"trust": "external"}],
    ids=str,
)
def test_only_ones_own_trusted_runs_are_evidence(
    store: Database, sessions: Sessions, foreign: dict[str, str]
) -> None:
    rollout = store.write(lambda c: canary(c, "1.0.0"))
    sessions.add(rollout.id, "candidate", 5, 1)
    sessions.add(rollout.id, "candidate", 400, 400, **foreign)
    found = store.read(lambda c: counters.arm_statistics(c, rollout.id))["success"]["candidate"]
    assert (found.n, found.total) == (5, 1)
