"""What an installation is doing, read from the control database; needs neither Kafka nor Faust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from operations.consider_training import read_window
from operations.settings import ModelSettings
from schemas.rows import Disposition
from stores.control import counters, jobs, outbox, registry, rollouts, stops
from stores.control.database import Database
from stores.control.jobs import Job
from stores.control.registry import AdapterVersion
from stores.control.rollouts import Rollout


class ReadStatus:
    """One consistent look."""

    def __init__(self, database: Database, models: Sequence[ModelSettings]) -> None:
        self._database = database
        self._models = models

    def __call__(self, now: datetime) -> dict[str, Any]:
        """Records by disposition, and per model what serves, what waits, what runs."""
        return self._database.read(lambda c: self._look(c, now))

    def _look(self, connection: Connection, now: datetime) -> dict[str, Any]:
        found = counters.dispositions(connection)
        records = {str(name): found.get(name, 0) for name in Disposition}
        waiting, oldest = outbox.backlog(connection)
        return {
            "records": {"received": sum(records.values()), **records},
            "outbox": {
                "pending": waiting,
                "oldest_seconds": (now - oldest).total_seconds() if oldest else 0.0,
            },
            "stopped_partitions": [
                {**asdict(stop), "since": stop.since.isoformat()}
                for stop in stops.every(connection)
            ],
            "models": [_model(connection, model, now) for model in self._models],
            "not_configured": self._strangers(connection),
        }

    def _strangers(self, connection: Connection) -> dict[str, int]:
        """Executions of models that nobody configured: nothing learns from them."""
        known = {(model.tenant, model.name) for model in self._models}
        named = counters.named_models(connection)
        return {f"{t}/{m}": n for (t, m), n in sorted(named.items()) if (t, m) not in known}


def _model(connection: Connection, model: ModelSettings, now: datetime) -> dict[str, Any]:
    key = (model.tenant, model.name)
    window = read_window(connection, model, now)
    champion = registry.champion(connection, *key)
    desired = rollouts.route(connection, *key)
    running = rollouts.running(connection, *key)
    job = jobs.latest(connection, *key)
    return {
        "tenant": model.tenant,
        "model": model.name,
        "serves": champion.version if champion else "base",
        "adapter": champion.adapter if champion else None,
        "new_examples": window.new_examples,
        "recent_executions": window.executions,
        "failure_rate": window.failure_rate,
        "job": job_facts(job) if job else None,
        "rollout": rollout_facts(connection, running) if running else None,
        "converged": desired is None or desired.converged_at is not None,
        "gateways": [
            {"url": replica["url"], "revision": replica["revision"], "detail": replica["detail"]}
            for replica in rollouts.replicas(connection, *key)
        ],
    }


def job_facts(job: Job) -> dict[str, Any]:
    """A job as people read it."""
    return {
        "id": job.id,
        "tenant": job.tenant,
        "model": job.model,
        "state": str(job.state),
        "trigger": job.trigger,
        "why": job.detail,
        "dataset": job.dataset_digest,
        "version": job.version,
        "error": job.error,
        "created_at": job.created_at.isoformat(),
        "updated_at": job.updated_at.isoformat(),
    }


def rollout_facts(connection: Connection, rollout: Rollout) -> dict[str, Any]:
    """A roll-out as people read it, with the sessions counted so far."""
    success = counters.arm_statistics(connection, rollout.id)["success"]
    return {
        "id": rollout.id,
        "tenant": rollout.tenant,
        "model": rollout.model,
        "version": rollout.version,
        "from": rollout.stable_version or "base",
        "state": str(rollout.state),
        "step": rollout.step,
        "share": rollout.policy.steps[rollout.step] if rollout.canary_at else None,
        "arms": {arm: {"sessions": s.n, "success": s.mean} for arm, s in success.items()},
        "mixed_sessions": counters.mixed_units(connection, rollout.id),
        "started_at": rollout.started_at.isoformat(),
        "evidence": rollout.evidence,
    }


def version_facts(version: AdapterVersion, aliases: Sequence[str]) -> dict[str, Any]:
    """A version as people read it."""
    facts = asdict(version)
    probe = facts.pop("probe") or {}
    facts["probe"] = {name: value for name, value in probe.items() if name != "record"}
    facts["stage"] = str(version.stage)
    facts["created_at"] = version.created_at.isoformat()
    facts["aliases"] = list(aliases)
    return facts
