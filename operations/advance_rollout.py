"""Move a roll-out on, or back, from per-arm evidence. Registry, history and event: one transaction.

Every tick can die and be repeated: it reads the state, decides, and moves by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from operations.move_rollout import Move
from operations.settings import ModelSettings
from processors.rollout.decide import Action, Decision, decide_canary, decide_shadow
from schemas.rollouts import ArmStats, RolloutState
from schemas.telemetry import Meter, Metric
from schemas.verdicts import Verdict
from stores.control import counters, rollouts
from stores.control.database import Database
from stores.control.rollouts import Rollout

ACTOR = "policy:rollout@1"
_NOTHING = Decision(Action.HOLD, Verdict.INSUFFICIENT_DATA, (), "")


@dataclass(frozen=True, slots=True)
class Tick:
    """What one look at a roll-out led to."""

    rollout_id: str
    state: RolloutState
    action: Action
    why: str


class AdvanceRollout:
    """Looks at a model's running roll-out and does what the evidence allows."""

    def __init__(self, database: Database, meter: Meter) -> None:
        self._database = database
        self._meter = meter

    def __call__(self, model: ModelSettings, now: datetime) -> Tick | None:
        """One tick; None if nothing is running."""
        rollout = self._database.read(lambda c: rollouts.running(c, model.tenant, model.name))
        if rollout is None:
            return None
        statistics = self._database.read(lambda c: counters.arm_statistics(c, rollout.id))
        names = {"tenant": model.tenant, "model": model.name}
        for arm, found in statistics["success"].items():
            self._meter.set(Metric.ARM_SESSIONS, found.n, arm=arm, **names)
        decision = self._database.read(lambda c: decide(c, rollout, statistics, now))
        if decision.action is not Action.HOLD:
            success = statistics["success"]
            state = self._database.write(
                lambda c: _perform(Move.of(c, rollout, decision, now, ACTOR), success)
            )
            self._meter.count(
                Metric.ROLLOUTS, state=state.value, tenant=model.tenant, model=model.name
            )
            return Tick(rollout.id, state, decision.action, decision.why)
        return Tick(rollout.id, rollout.state, decision.action, decision.why)


def decide(
    connection: Connection,
    rollout: Rollout,
    statistics: Mapping[str, Mapping[str, ArmStats]],
    now: datetime,
) -> Decision:
    """What the evidence allows a roll-out to do now."""
    policy = rollout.policy
    if rollout.state is RolloutState.CANDIDATE:
        return _decide_candidate(connection, rollout, now)
    if rollout.state is RolloutState.SHADOW:
        shown = statistics["valid"].get("shadow", ArmStats())
        return decide_shadow(
            policy,
            mirrored=shown.n,
            valid=round(shown.total),
            hours=_hours(rollout.since, now),
        )
    success = statistics["success"]
    return decide_canary(
        policy,
        step=rollout.step,
        success=success,
        step_sessions=min(
            success.get(arm, ArmStats()).n - rollout.step_start.get(arm, 0)
            for arm in ("candidate", "baseline")
        ),
        hours=_hours(rollout.canary_at or rollout.since, now),
    )


def _decide_candidate(connection: Connection, rollout: Rollout, now: datetime) -> Decision:
    """Go on once every gateway has loaded and checked it; abort when that takes too long."""
    route = rollouts.route(connection, rollout.tenant, rollout.model)
    if route is not None and route.converged_at is not None:
        return Decision(Action.ADVANCE, Verdict.PASS, (), "every gateway has loaded it")
    if (now - rollout.since).total_seconds() < rollout.policy.converge_seconds:
        return _NOTHING
    seen = rollouts.replicas(connection, rollout.tenant, rollout.model)
    detail = "; ".join(f"{replica['url']}: {replica['detail']}" for replica in seen)
    return Decision(Action.ABORT, Verdict.FAIL, (), f"gateways did not converge: {detail}")


def _hours(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds() / 3600


def _perform(move: Move, success: Mapping[str, ArmStats]) -> RolloutState:
    """Do what was decided; the new state."""
    match move.decision.action:
        case Action.ADVANCE:
            return move.advance(success)
        case Action.PROMOTE:
            return move.promote()
        case Action.ROLL_BACK:
            return move.roll_back()
        case _:
            return move.abort()
