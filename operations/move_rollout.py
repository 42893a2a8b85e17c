"""The moves of a roll-out: registry, history, route and event in the caller's transaction.

Who decides is elsewhere: the evidence (`advance_rollout`) or a person (`approve_rollout`, `roll_back`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection

from operations import announce
from processors.rollout.decide import Decision, weights_of
from schemas import lifecycle
from schemas.rollouts import ArmStats, RolloutState, Stage
from stores.control import outbox, registry, rollouts
from stores.control.registry import AdapterVersion
from stores.control.rollouts import Rollout


@dataclass(frozen=True, slots=True)
class Move:
    """One decision about a roll-out, taken by `actor`; each method carries it out."""

    connection: Connection
    rollout: Rollout
    version: AdapterVersion
    stable: AdapterVersion | None
    decision: Decision
    now: datetime
    actor: str
    because: lifecycle.Reason | None = None

    @classmethod
    def of(
        cls,
        connection: Connection,
        rollout: Rollout,
        decision: Decision,
        now: datetime,
        actor: str,
        because: lifecycle.Reason | None = None,
    ) -> Self:
        """With the versions as the registry has them now. `because` is what events give as the reason."""
        key = (rollout.tenant, rollout.model)
        version = registry.require(connection, *key, rollout.version)
        stable = registry.champion(connection, *key)
        return cls(connection, rollout, version, stable, decision, now, actor, because)

    def advance(self, success: Mapping[str, ArmStats]) -> RolloutState:
        """One stage on: candidate, shadow, canary step 0, 1 and so on."""
        if self.rollout.state is RolloutState.CANDIDATE:
            self._to(RolloutState.SHADOW)
            return RolloutState.SHADOW
        first = self.rollout.state is RolloutState.SHADOW
        step = 0 if first else self.rollout.step + 1
        begun: dict[str, Any] = {"canary_at": self.now} if first else {}
        moved = self._to(
            RolloutState.CANARY,
            step=step,
            step_start={arm: found.n for arm, found in success.items()},
            **begun,
        )
        self._publish_canary(step, announce.decision_id(self.rollout.id, "canary", moved.revision))
        return RolloutState.CANARY

    def promote(self) -> RolloutState:
        """The candidate serves all traffic; the old champion stays at hand as `previous`."""
        self._to(RolloutState.PROMOTED, evidence=self._evidence())
        self._stage(self.version, Stage.PRODUCTION, self.decision.why)
        if self.stable is not None:
            self._stage(self.stable, Stage.ARCHIVED, f"after {self.version.version}")
        self._alias(registry.PREVIOUS, self.stable)
        self._alias(registry.CHAMPION, self.version)
        self._alias(registry.CHALLENGER, None)
        self._announce(lifecycle.PROMOTED, "rollout", "promote")
        self._route_to(self.version, "promote")
        self._audit("rollout.promoted")
        return RolloutState.PROMOTED

    def abort(self) -> RolloutState:
        """Stopped before promotion with no harm shown: traffic stays where it was."""
        reason: lifecycle.Reason = "insufficient_data"
        if self.because:
            reason = self.because
        elif self._by_hand:
            reason = "manual"
        elif self.rollout.state is RolloutState.CANDIDATE:
            reason = "not_converged"
        self._withdraw(RolloutState.ABORTED)
        self._announce(lifecycle.ARCHIVED, reason, "abort")
        self._route_to(self.stable, "abort")
        self._audit("rollout.aborted")
        return RolloutState.ABORTED

    def roll_back(self) -> RolloutState:
        """The candidate does harm: all sessions go back to the stable version."""
        self._withdraw(RolloutState.ROLLED_BACK)
        announce.announce_rollback(
            self.connection,
            self.now,
            self.version,
            self.stable,
            reason=self.because or ("manual" if self._by_hand else "metric"),
            detected_at=self.now,
            decision=self._name("roll_back"),
            rests_on=announce.evidence(self.decision),
            decided_by=self.actor,
        )
        self._route_to(self.stable, "roll_back", detected_at=self.now)
        self._audit("rollout.rolled_back")
        return RolloutState.ROLLED_BACK

    @property
    def _by_hand(self) -> bool:
        return self.actor.startswith("user:")

    def _name(self, action: str) -> str:
        return announce.decision_id(self.rollout.id, action)

    def _evidence(self) -> dict[str, Any]:
        return announce.evidence(self.decision).model_dump(mode="json")

    def _to(self, state: RolloutState, **changes: Any) -> Rollout:
        why = self.decision.why
        return rollouts.move(
            self.connection, self.rollout, state, self.now, self.actor, why, **changes
        )

    def _withdraw(self, state: RolloutState) -> None:
        self._to(state, evidence=self._evidence())
        self._stage(self.version, Stage.ARCHIVED, self.decision.why)
        self._alias(registry.CHALLENGER, None)

    def _stage(self, version: AdapterVersion, stage: Stage, why: str) -> None:
        registry.move(self.connection, version, stage, self.now, self.actor, why)

    def _alias(self, name: str, version: AdapterVersion | None) -> None:
        named = version.version if version else None
        registry.set_alias(self.connection, self.rollout.tenant, self.rollout.model, name, named)

    def _announce(self, kind: str, reason: lifecycle.Reason, action: str) -> None:
        announce.announce(
            self.connection,
            self.now,
            kind,
            self.version,
            previous=self.stable,
            reason=reason,
            decision=self._name(action),
            rests_on=announce.evidence(self.decision),
            decided_by=self.actor,
        )

    def _publish_canary(self, step: int, decision: str) -> None:
        stable = announce.arm(self.stable)
        arms = {"stable": stable, "baseline": stable, "candidate": announce.arm(self.version)}
        route = announce.stable_route(self.rollout.tenant, self.rollout.model, self.stable)
        canary = route.model_copy(
            update={
                "weights": weights_of(self.rollout.policy, step),
                "arms": arms,
                "salt": self.rollout.salt,
                "rollout_id": self.rollout.id,
            }
        )
        announce.publish_route(
            self.connection, self.now, canary, decision=decision, action="canary"
        )

    def _route_to(
        self, served: AdapterVersion | None, action: str, *, detected_at: datetime | None = None
    ) -> None:
        route = announce.stable_route(self.rollout.tenant, self.rollout.model, served)
        decision = self._name(action)
        announce.publish_route(
            self.connection,
            self.now,
            route,
            decision=decision,
            action=action,
            detected_at=detected_at,
        )

    def _audit(self, action: str) -> None:
        rollout = self.rollout
        outbox.note(
            self.connection,
            self.now,
            actor=self.actor,
            action=action,
            subject=f"{rollout.tenant}/{rollout.model} {rollout.version}",
            detail={"rollout": rollout.id, "why": self.decision.why},
        )
