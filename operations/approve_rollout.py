"""A person approves what the evidence already allows. Approval never replaces evidence."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from sqlalchemy import Connection

from operations.advance_rollout import decide
from operations.move_rollout import Move
from operations.register_adapter import start_rollout
from operations.settings import ModelSettings
from processors.rollout.decide import Action
from schemas.errors import Code, Unrecoverable
from schemas.rollouts import RolloutState
from stores.control import counters, registry, rollouts
from stores.control.database import Database


class ApproveRollout:
    """Starts a roll-out that validation left to a person, and promotes one that is ready."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, model: ModelSettings, version: str, now: datetime, *, actor: str) -> str:
        """Begin a version's roll-out; its id. The version has to be in STAGING."""

        def work(connection: Connection) -> str:
            found = registry.require(connection, model.tenant, model.name, version)
            return start_rollout(connection, model, found, now, decided_by=actor)

        return self._database.write(work)

    def __call__(self, rollout_id: str, now: datetime, *, actor: str) -> RolloutState:
        """Promote. Raises Unrecoverable(GATE_CLOSED) with what is missing."""
        return self._database.write(lambda c: _promote(c, rollout_id, now, actor))


def _promote(connection: Connection, rollout_id: str, now: datetime, actor: str) -> RolloutState:
    rollout = rollouts.require(connection, rollout_id)
    if rollout.state is not RolloutState.CANARY:
        raise Unrecoverable(Code.ILLEGAL_TRANSITION, f"roll-out {rollout_id} is {rollout.state}")
    statistics = counters.arm_statistics(connection, rollout_id)
    allowed = rollout.policy.model_copy(update={"auto_promote": True})
    trusted = dataclasses.replace(rollout, policy=allowed)
    decision = decide(connection, trusted, statistics, now)
    if decision.action is not Action.PROMOTE:
        raise Unrecoverable(Code.GATE_CLOSED, decision.why)
    return Move.of(connection, rollout, decision, now, actor).promote()
