"""Adapters that were trained on what was taken back: into quarantine, and a job to train without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from operations import announce
from operations.make_job import make_job
from operations.roll_back import BASE, give_back, stop
from operations.settings import ModelSettings
from processors.drift.thresholds import Trigger
from schemas import lifecycle
from schemas.erasures import Erasure, ErasureKind
from schemas.errors import LorikeetError, NotReady
from schemas.rollouts import Stage
from stores.control import erasures, jobs, outbox, registry, rollouts
from stores.control.database import Database
from stores.control.registry import AdapterVersion
from stores.ledger.place import Fault, no_fault

_REASONS: dict[ErasureKind, lifecycle.Reason] = {
    ErasureKind.ERASURE: "erasure",
    ErasureKind.POISON: "quarantine",
}
Models = Mapping[tuple[str, str], ModelSettings]


class QuarantineAdapters:
    """All of one model in one transaction: registry, roll-out, route and events."""

    def __init__(self, database: Database, models: Models, fault: Fault = no_fault) -> None:
        self._database = database
        self._models = models
        self._fault = fault

    def __call__(self, found: Erasure, now: datetime) -> None:
        """Quarantine them, and ask for training; what was done is in the erasure's report afterwards."""
        tainted = {d for d, said in found.report.get("datasets", {}).items() if said["rows"]}
        names = {v.model for v in self._versions(found, tainted)}
        for name in sorted(names):
            work = partial(_quarantine, found=found, name=name, tainted=tainted, now=now)
            self._database.write(work)
            self._fault("model_quarantined")
        for name in sorted(names | set(found.report.get("cancelled", {}).values())):
            self._train(found, name, now)
            self._fault("job_made")

    def concerned(self, found: Erasure, datasets: set[str]) -> list[str]:
        """Model and version of the adapters that would go to quarantine for these datasets."""
        versions = self._versions(found, datasets)
        return [f"{v.model} {v.version}" for v in versions if v.stage != Stage.QUARANTINE]

    def _versions(self, found: Erasure, tainted: set[str]) -> list[AdapterVersion]:
        known = self._database.read(lambda c: registry.every(c, found.tenant))
        return [version for version in known if version.dataset_digest in tainted]

    def _train(self, found: Erasure, name: str, now: datetime) -> None:
        """A job for the model, once; where none can be made, why."""
        report = self._database.read(lambda c: erasures.report(c, found.id))
        if name in report.get("jobs", {}):
            return
        model = self._models.get((found.tenant, name))
        if model is None or not model.base:
            self._note(found, name, {"job": None, "why": "no base is configured"}, now)
            return
        try:
            self._database.write(lambda c: _make(c, found, model, now))
        except LorikeetError as error:
            self._note(found, name, {"job": None, "why": str(error)}, now)

    def _note(self, found: Erasure, name: str, said: Mapping[str, Any], now: datetime) -> None:
        self._database.write(lambda c: _add(c, found.id, "jobs", {name: dict(said)}, now))


def _quarantine(
    connection: Connection, found: Erasure, name: str, tainted: set[str], now: datetime
) -> None:
    versions = registry.every(connection, found.tenant, name)
    mine = [v for v in versions if v.dataset_digest in tainted and v.stage != Stage.QUARANTINE]
    if not mine:
        return
    key, because = (found.tenant, name), _REASONS[found.kind]
    actor, why = found.requested_by, f"{found.kind} {found.id}"
    bad = {version.version for version in versions if version.dataset_digest in tainted}
    champion = registry.champion(connection, *key)
    serves = champion is not None and champion.version in bad
    running = rollouts.running(connection, *key)
    if running is not None and (serves or running.version in bad):
        stop(connection, running, now, actor, why, because)
    to = None
    if serves and champion is not None:
        to = _earlier(connection, champion, versions, bad)
        give_back(connection, key, now, actor, why, to, because)
    elif registry.alias(connection, *key, registry.PREVIOUS) in bad:
        registry.set_alias(connection, *key, registry.PREVIOUS, None)
    for version in mine:
        _move(connection, registry.require(connection, *key, version.version), found, now)
    said = {
        f"{name} {version.version}": {
            "adapter": version.adapter,
            "digest": version.adapter_digest,
            "dataset": version.dataset_digest,
            "was": str(version.stage),
            "returned_to": to if champion and version.version == champion.version else None,
        }
        for version in mine
    }
    _add(connection, found.id, "adapters", said, now)


def _move(connection: Connection, version: AdapterVersion, found: Erasure, now: datetime) -> None:
    because, actor = _REASONS[found.kind], found.requested_by
    why = f"{found.kind} {found.id}"
    registry.move(connection, version, Stage.QUARANTINE, now, actor, why)
    registry.forget_record(connection, version)
    announce.announce(
        connection,
        now,
        lifecycle.QUARANTINED,
        version,
        previous=registry.champion(connection, version.tenant, version.model),
        reason=because,
        decision=announce.decision_id("quarantine", version.adapter_digest, found.id),
        rests_on=announce.NO_EVIDENCE,
        decided_by=actor,
    )
    outbox.note(
        connection,
        now,
        actor=actor,
        action="adapter.quarantined",
        subject=f"{version.tenant}/{version.model} {version.version}",
        detail={"erasure": found.id, "dataset": version.dataset_digest},
    )


def _earlier(
    connection: Connection,
    champion: AdapterVersion,
    versions: Sequence[AdapterVersion],
    bad: set[str],
) -> str:
    """The last version that served everybody and may serve again; else the base model."""
    changes = registry.history(connection, champion.tenant, champion.model)
    served = [c["version"] for c in changes if c["to_stage"] == Stage.PRODUCTION.value]
    fit = {
        version.version
        for version in versions
        if version.version not in bad
        and version.stage is Stage.ARCHIVED
        and version.signature_uri
        and version.base_digest == champion.base_digest
    }
    return next((version for version in reversed(served) if version in fit), BASE)


def _make(connection: Connection, found: Erasure, model: ModelSettings, now: datetime) -> None:
    trigger = Trigger(name=str(found.kind), detail=f"{found.kind} {found.id}")
    try:
        made = make_job(
            connection,
            model,
            trigger,
            now,
            recipe=model.recipe,
            validation=model.validation,
            requested_by=found.requested_by,
        )
    except NotReady:
        made = None
    last = jobs.latest(connection, model.tenant, model.name)
    job = made or (last.id if last else None)
    _add(connection, found.id, "jobs", {model.name: {"job": job, "why": ""}}, now)


def _add(
    connection: Connection, name: str, what: str, said: Mapping[str, Any], now: datetime
) -> None:
    known = erasures.report(connection, name).get(what, {})
    erasures.note(connection, name, now, **{what: {**known, **said}})
