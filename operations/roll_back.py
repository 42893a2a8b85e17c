"""By hand: stop a running roll-out, or return a promoted model to an earlier version.

Works while Kafka is down: the event waits in the outbox.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from operations import announce
from operations.move_rollout import Move
from operations.settings import ModelSettings
from processors.rollout.decide import Action, Decision
from schemas import lifecycle
from schemas.errors import Code, Unrecoverable
from schemas.rollouts import RolloutState, Stage
from schemas.telemetry import Meter, Metric
from schemas.verdicts import Verdict
from stores.control import outbox, registry, rollouts
from stores.control.database import Database
from stores.control.registry import AdapterVersion
from stores.control.rollouts import Rollout

BASE = "base"


class RollBack:
    """Returns traffic to an earlier version, at once."""

    def __init__(self, database: Database, meter: Meter) -> None:
        self._database = database
        self._meter = meter

    def stop(self, rollout_id: str, now: datetime, *, actor: str, reason: str) -> RolloutState:
        """Abort a roll-out: from a canary it counts as a rollback, since users met it."""

        def work(connection: Connection) -> Rollout:
            rollout = rollouts.require(connection, rollout_id)
            stop(connection, rollout, now, actor, reason)
            return rollouts.require(connection, rollout_id)

        stopped = self._database.write(work)
        self._count(stopped.tenant, stopped.model, stopped.state)
        return stopped.state

    def __call__(
        self,
        model: ModelSettings,
        now: datetime,
        *,
        actor: str,
        reason: str,
        to: str | None = None,
    ) -> str:
        """Return to `to` (default: what served before; `base`: no adapter); the version's name.

        Repeating it changes nothing: to go further back, the version has to be named. A running
        roll-out is stopped too, in the same transaction; where nothing is promoted, that is all.
        Raises Unrecoverable for an unknown version, one of another base model, one that never
        served everybody, or when nothing is promoted and nothing runs.
        """

        def work(connection: Connection) -> str:
            running = rollouts.running(connection, model.tenant, model.name)
            if running is not None:
                stop(connection, running, now, actor, reason)
                if to is None and registry.champion(connection, model.tenant, model.name) is None:
                    return BASE
            return give_back(connection, (model.tenant, model.name), now, actor, reason, to)

        wanted = self._database.write(work)
        self._count(model.tenant, model.name, RolloutState.ROLLED_BACK)
        return wanted

    def _count(self, tenant: str, model: str, state: RolloutState) -> None:
        self._meter.count(Metric.ROLLOUTS, tenant=tenant, model=model, state=state.value)


def stop(
    connection: Connection,
    rollout: Rollout,
    now: datetime,
    actor: str,
    reason: str,
    because: lifecycle.Reason | None = None,
) -> RolloutState:
    """Stop a roll-out in the caller's transaction; `because` is what its event gives as the reason."""
    decision = Decision(Action.ABORT, Verdict.INCONCLUSIVE, (), reason)
    move = Move.of(connection, rollout, decision, now, actor, because)
    return move.roll_back() if rollout.state is RolloutState.CANARY else move.abort()


def give_back(
    connection: Connection,
    key: tuple[str, str],
    now: datetime,
    actor: str,
    reason: str,
    to: str | None,
    because: lifecycle.Reason = "manual",
) -> str:
    """Return a model (tenant, name) to a version in the caller's transaction; see `RollBack`."""
    named = registry.require(connection, *key, to) if to and to != BASE else None
    champion = registry.champion(connection, *key)
    if champion is None:
        raise Unrecoverable(Code.NOTHING_TO_ROLL_BACK, "/".join(key))
    wanted = to or registry.alias(connection, *key, registry.PREVIOUS) or BASE
    target = named or (None if wanted == BASE else registry.require(connection, *key, wanted))
    if target is not None:
        _check(connection, champion, target)
    registry.move(connection, champion, Stage.ARCHIVED, now, actor, reason)
    if target is not None:
        registry.move(connection, target, Stage.PRODUCTION, now, actor, reason)
    serves = target.version if target else None
    registry.set_alias(connection, *key, registry.CHAMPION, serves)
    registry.set_alias(connection, *key, registry.PREVIOUS, serves)  # a repeat goes nowhere
    _note_rollout(connection, champion, now, actor, reason)
    count = len(registry.history(connection, *key))
    decision = announce.decision_id("roll_back", champion.adapter_digest, count)
    announce.announce_rollback(
        connection,
        now,
        champion,
        target,
        reason=because,
        detected_at=now,
        decision=decision,
        rests_on=announce.NO_EVIDENCE,
        decided_by=actor,
    )
    announce.publish_route(
        connection,
        now,
        announce.stable_route(*key, target),
        decision=decision,
        action="roll_back",
        detected_at=now,
    )
    outbox.note(
        connection,
        now,
        actor=actor,
        action="model.rolled_back",
        subject=f"{'/'.join(key)} {champion.version}",
        detail={"to": wanted, "reason": reason},
    )
    return wanted


def _check(connection: Connection, champion: AdapterVersion, target: AdapterVersion) -> None:
    if target.version == champion.version:
        raise Unrecoverable(
            Code.NOTHING_TO_ROLL_BACK,
            f"{target.version} serves already",
            remedy="name an earlier version to go further back",
        )
    if target.base_digest != champion.base_digest:
        raise Unrecoverable(Code.OTHER_BASE, target.version)
    if target.stage in (Stage.QUARANTINE, Stage.DEVELOPMENT) or not target.signature_uri:
        raise Unrecoverable(Code.GATE_CLOSED, f"{target.version} is in {target.stage}")
    changes = registry.history(connection, target.tenant, target.model)
    if (target.version, Stage.PRODUCTION) not in {(c["version"], c["to_stage"]) for c in changes}:
        raise Unrecoverable(
            Code.GATE_CLOSED,
            f"{target.version} was never promoted",
            remedy="begin its roll-out: lorikeet rollouts start",
        )


def _note_rollout(
    connection: Connection, champion: AdapterVersion, now: datetime, actor: str, reason: str
) -> None:
    """The roll-out that had promoted it is rolled back as well."""
    for rollout in rollouts.every(connection):
        same = (rollout.tenant, rollout.model, rollout.version) == (
            champion.tenant,
            champion.model,
            champion.version,
        )
        if same and rollout.state is RolloutState.PROMOTED:
            rollouts.move(connection, rollout, RolloutState.ROLLED_BACK, now, actor, reason)
