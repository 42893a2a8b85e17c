"""A control database with a registered candidate, for tests that need no training."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from operations.register_adapter import start_rollout
from operations.settings import ModelSettings
from processors.rollout.decide import Action, Comparison, Decision
from schemas.rollouts import ArmStats, RolloutPolicy, RolloutState, Stage
from schemas.verdicts import Verdict
from stores.control import registry, rollouts
from stores.control.database import Database, sqlite_url
from stores.control.rollouts import Rollout

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
POLICY = RolloutPolicy(auto_promote=True, promote_min=150, steps=(0.2, 0.5), step_min=75)
MODEL = ModelSettings(name="m", rollout=POLICY)
ACTOR = "policy:test@1"


def database(folder: Path) -> Database:
    """An empty control database."""
    return Database(sqlite_url(folder / "control.db"))


def register(
    connection: Connection,
    version: str,
    stage: Stage = Stage.STAGING,
    *,
    model: ModelSettings = MODEL,
    **changes: Any,
) -> registry.AdapterVersion:
    """A registered version; its files are not there."""
    values = {
        "tenant": model.tenant,
        "model": model.name,
        "version": version,
        "adapter": f"{model.slug}-{version}",
        "adapter_digest": f"digest-{version}",
        "adapter_uri": f"file:///nowhere/{version}",
        "base_model": "/base",
        "base_digest": "base",
        "rank": 8,
        "alpha": 16.0,
        "target_modules": ["q_proj"],
        "signature_uri": f"file:///nowhere/{version}.sig",
        "dataset_version": "1.0.0",
        "dataset_digest": "d",
        "job_id": f"job-{version}",
        "validation": None,
        "probe": None,
    }
    registry.register(connection, NOW, ACTOR, **{**values, **changes})
    made = registry.require(connection, model.tenant, model.name, version)
    if stage is not Stage.DEVELOPMENT:
        registry.move(connection, made, stage, NOW, ACTOR, "test")
    return registry.require(connection, model.tenant, model.name, version)


def canary(connection: Connection, version: str, model: ModelSettings = MODEL) -> Rollout:
    """A version in its last canary step."""
    found = register(connection, version, model=model)
    rollout_id = start_rollout(connection, model, found, NOW, decided_by=ACTOR)
    rollout = rollouts.require(connection, rollout_id)
    rollout = rollouts.move(connection, rollout, RolloutState.SHADOW, NOW, ACTOR, "loaded")
    return rollouts.move(
        connection, rollout, RolloutState.CANARY, NOW, ACTOR, "mirrored", step=1, canary_at=NOW
    )


def decision(action: Action, verdict: Verdict = Verdict.PASS) -> Decision:
    """A decision with a comparison behind it."""
    candidate, baseline = stats(200, 180), stats(200, 60)
    compared = Comparison("success", candidate, baseline, 0.6, 0.5, 0.7, verdict)
    return Decision(action, verdict, (compared,), "test")


def stats(n: int, successes: int) -> ArmStats:
    """Statistics of sessions that succeed or fail."""
    return ArmStats(n=n, total=float(successes), squares=float(successes))
