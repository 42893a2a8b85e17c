"""Move a roll-out on, or back, from per-arm evidence. Registry, history and event: one transaction.

Every tick can die and be repeated: it reads the state, decides, and moves by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from operations import announce
from operations.settings import ModelSettings
from processors.rollout.decide import (
    Action,
    Decision,
    decide_canary,
    decide_shadow,
    weights_of,
)
from schemas import lifecycle
from schemas.rollouts import ArmStats, RolloutState, Stage
from schemas.telemetry import Meter, Metric
from schemas.verdicts import Verdict
from stores.control import counters, outbox, registry, rollouts
from stores.control.database import Database
from stores.control.registry import AdapterVersion
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
            state = self._database.write(
                lambda c: _perform(c, rollout, decision, statistics["success"], now)
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


def _perform(
    connection: Connection,
    rollout: Rollout,
    decision: Decision,
    success: Mapping[str, ArmStats],
    now: datetime,
) -> RolloutState:
    """Do what was decided, all of it in the caller's transaction; the new state."""
    version = registry.require(connection, rollout.tenant, rollout.model, rollout.version)
    acts = {
        Action.ADVANCE: _advance,
        Action.PROMOTE: promote,
        Action.ABORT: abort,
        Action.ROLL_BACK: roll_back_canary,
    }
    act = acts[decision.action]
    return act(connection, rollout, version, decision, success, now, ACTOR)


def _advance(
    connection: Connection,
    rollout: Rollout,
    version: AdapterVersion,
    decision: Decision,
    success: Mapping[str, ArmStats],
    now: datetime,
    actor: str,
) -> RolloutState:
    """One stage on: candidate, shadow, canary step 0, 1 and so on."""
    if rollout.state is RolloutState.CANDIDATE:
        rollouts.move(connection, rollout, RolloutState.SHADOW, now, actor, decision.why)
        return RolloutState.SHADOW
    step = 0 if rollout.state is RolloutState.SHADOW else rollout.step + 1
    fresh: dict[str, Any] = {"canary_at": now} if rollout.state is RolloutState.SHADOW else {}
    moved = rollouts.move(
        connection,
        rollout,
        RolloutState.CANARY,
        now,
        actor,
        decision.why,
        step=step,
        step_start={arm: found.n for arm, found in success.items()},
        **fresh,
    )
    stable = registry.champion(connection, rollout.tenant, rollout.model)
    route = announce.stable_route(rollout.tenant, rollout.model, stable).model_copy(
        update={
            "weights": weights_of(rollout.policy, step),
            "arms": {
                "stable": announce.arm(stable),
                "baseline": announce.arm(stable),
                "candidate": announce.arm(version),
            },
            "salt": rollout.salt,
            "rollout_id": rollout.id,
        }
    )
    name = announce.decision_id(rollout.id, "canary", moved.revision)
    announce.publish_route(connection, now, route, decision=name, action="canary")
    return RolloutState.CANARY


def promote(
    connection: Connection,
    rollout: Rollout,
    version: AdapterVersion,
    decision: Decision,
    _success: Mapping[str, ArmStats],
    now: datetime,
    actor: str,
) -> RolloutState:
    """The candidate serves all traffic; the old champion stays at hand as `previous`."""
    key = (rollout.tenant, rollout.model)
    stable = registry.champion(connection, *key)
    rests_on = announce.evidence(decision)
    rollouts.move(
        connection,
        rollout,
        RolloutState.PROMOTED,
        now,
        actor,
        decision.why,
        evidence=rests_on.model_dump(mode="json"),
    )
    registry.move(connection, version, Stage.PRODUCTION, now, actor, decision.why)
    if stable is not None:
        registry.move(connection, stable, Stage.ARCHIVED, now, actor, f"after {version.version}")
    registry.set_alias(connection, *key, registry.PREVIOUS, stable.version if stable else None)
    registry.set_alias(connection, *key, registry.CHAMPION, version.version)
    registry.set_alias(connection, *key, registry.CHALLENGER, None)
    name = announce.decision_id(rollout.id, "promote")
    announce.announce(
        connection,
        now,
        lifecycle.PROMOTED,
        version,
        previous=stable,
        reason="rollout",
        decision=name,
        rests_on=rests_on,
        decided_by=actor,
    )
    _to_stable(connection, rollout, version, now, name, "promote")
    _audit(connection, rollout, now, actor, "rollout.promoted", decision.why)
    return RolloutState.PROMOTED


def abort(
    connection: Connection,
    rollout: Rollout,
    version: AdapterVersion,
    decision: Decision,
    _success: Mapping[str, ArmStats],
    now: datetime,
    actor: str,
) -> RolloutState:
    """Stopped before promotion with no harm shown: traffic stays where it was."""
    stable = registry.champion(connection, rollout.tenant, rollout.model)
    rests_on = announce.evidence(decision)
    _withdraw(connection, rollout, version, RolloutState.ABORTED, decision, now, actor)
    name = announce.decision_id(rollout.id, "abort")
    converging = decision.why.startswith("gateways did not converge")
    by_hand = actor.startswith("user:")
    announce.announce(
        connection,
        now,
        lifecycle.ARCHIVED,
        version,
        previous=stable,
        reason="manual" if by_hand else ("not_converged" if converging else "insufficient_data"),
        decision=name,
        rests_on=rests_on,
        decided_by=actor,
    )
    _to_stable(connection, rollout, stable, now, name, "abort")
    _audit(connection, rollout, now, actor, "rollout.aborted", decision.why)
    return RolloutState.ABORTED


def roll_back_canary(
    connection: Connection,
    rollout: Rollout,
    version: AdapterVersion,
    decision: Decision,
    _success: Mapping[str, ArmStats],
    now: datetime,
    actor: str,
) -> RolloutState:
    """The candidate does harm: all sessions go back to the stable version."""
    stable = registry.champion(connection, rollout.tenant, rollout.model)
    rests_on = announce.evidence(decision)
    _withdraw(connection, rollout, version, RolloutState.ROLLED_BACK, decision, now, actor)
    name = announce.decision_id(rollout.id, "roll_back")
    announce.announce_rollback(
        connection,
        now,
        version,
        stable,
        reason="manual" if actor.startswith("user:") else "metric",
        detected_at=now,
        decision=name,
        rests_on=rests_on,
        decided_by=actor,
    )
    _to_stable(connection, rollout, stable, now, name, "roll_back", detected_at=now)
    _audit(connection, rollout, now, actor, "rollout.rolled_back", decision.why)
    return RolloutState.ROLLED_BACK


def _withdraw(
    connection: Connection,
    rollout: Rollout,
    version: AdapterVersion,
    state: RolloutState,
    decision: Decision,
    now: datetime,
    actor: str,
) -> None:
    rests_on = announce.evidence(decision).model_dump(mode="json")
    rollouts.move(connection, rollout, state, now, actor, decision.why, evidence=rests_on)
    registry.move(connection, version, Stage.ARCHIVED, now, actor, decision.why)
    registry.set_alias(connection, rollout.tenant, rollout.model, registry.CHALLENGER, None)


def _to_stable(
    connection: Connection,
    rollout: Rollout,
    stable: AdapterVersion | None,
    now: datetime,
    decision: str,
    action: str,
    *,
    detected_at: datetime | None = None,
) -> None:
    route = announce.stable_route(rollout.tenant, rollout.model, stable)
    announce.publish_route(
        connection, now, route, decision=decision, action=action, detected_at=detected_at
    )


def _audit(
    connection: Connection, rollout: Rollout, now: datetime, actor: str, action: str, why: str
) -> None:
    outbox.note(
        connection,
        now,
        actor=actor,
        action=action,
        subject=f"{rollout.tenant}/{rollout.model} {rollout.version}",
        detail={"rollout": rollout.id, "why": why},
    )
