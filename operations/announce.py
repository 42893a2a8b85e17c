"""Lifecycle events, added to the outbox inside the transaction that decides them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from processors.rollout.decide import Comparison, Decision
from schemas import lifecycle
from schemas.digests import digest_of
from schemas.rollouts import Route
from stores.control import outbox, rollouts
from stores.control.registry import AdapterVersion

_KINDS: dict[str, type[lifecycle.Transition]] = {
    lifecycle.CANDIDATE: lifecycle.ModelCandidate,
    lifecycle.PROMOTED: lifecycle.ModelPromoted,
    lifecycle.ARCHIVED: lifecycle.ModelArchived,
    lifecycle.QUARANTINED: lifecycle.ModelQuarantined,
}
NO_EVIDENCE = lifecycle.Evidence(verdict="no_baseline")


def decision_id(*parts: object) -> str:
    """The id of one decision: the same decision taken again has the same id."""
    return digest_of([str(part) for part in parts])[:20]


def reference(version: AdapterVersion | None) -> lifecycle.VersionRef | None:
    """A version as events name it; None is the base model."""
    if version is None:
        return None
    return lifecycle.VersionRef(
        version=version.version,
        adapter=version.adapter,
        adapter_digest=version.adapter_digest,
    )


def evidence(decision: Decision, uri: str | None = None) -> lifecycle.Evidence:
    """What a decision rests on, as events carry it."""
    metrics = tuple(map(_metric, decision.comparisons))
    return lifecycle.Evidence(uri=uri, verdict=str(decision.verdict), metrics=metrics)


def _metric(compared: Comparison) -> lifecycle.MetricEvidence:
    return lifecycle.MetricEvidence(
        name=compared.name,
        stable=compared.baseline.mean,
        candidate=compared.candidate.mean,
        difference=compared.estimate,
        low=compared.low,
        high=compared.high,
        n_stable=compared.baseline.n,
        n_candidate=compared.candidate.n,
        verdict=str(compared.verdict),
    )


def announce(
    connection: Connection,
    now: datetime,
    kind: str,
    version: AdapterVersion,
    *,
    previous: AdapterVersion | None,
    reason: lifecycle.Reason,
    decision: str,
    rests_on: lifecycle.Evidence,
    decided_by: str,
) -> str:
    """`model.candidate`, `promoted`, `archived` or `quarantined`; the event's id."""
    body = _KINDS[kind](
        **_common(version, now, decision, rests_on, decided_by),
        previous=reference(previous),
        reason=reason,
    )
    return _add(connection, now, kind, version, decision, body.model_dump(mode="json"))


def announce_rollback(
    connection: Connection,
    now: datetime,
    origin: AdapterVersion,
    to: AdapterVersion | None,
    *,
    reason: lifecycle.Reason,
    detected_at: datetime,
    decision: str,
    rests_on: lifecycle.Evidence,
    decided_by: str,
) -> str:
    """`model.rolled_back`: from one version to another (None: the base model); the event's id."""
    body = lifecycle.ModelRolledBack(
        **_common(origin, now, decision, rests_on, decided_by),
        previous=reference(to),
        reason=reason,
        origin=lifecycle.VersionRef.model_validate(reference(origin), from_attributes=True),
        to=reference(to),
        detected_at=detected_at,
    )
    return _add(connection, now, lifecycle.ROLLED_BACK, origin, decision, body.payload())


def publish_route(
    connection: Connection,
    now: datetime,
    route: Route,
    *,
    decision: str,
    action: str,
    detected_at: datetime | None = None,
) -> Route:
    """Set the desired route and tell callers of it (`model.route`)."""
    published = rollouts.set_route(
        connection, route, now, decision_id=decision, action=action, detected_at=detected_at
    )
    outbox.add(
        connection,
        now,
        type=lifecycle.ROUTE,
        tenant=route.tenant_id,
        model=route.model,
        decision_id=f"{decision}/{published.revision}",
        payload=published.model_dump(mode="json"),
    )
    return published


def stable_route(tenant: str, model: str, stable: AdapterVersion | None) -> Route:
    """All traffic to one version."""
    return Route(
        tenant_id=tenant,
        model=model,
        revision=0,
        weights={"stable": 1.0},
        arms={"stable": arm(stable)},
    )


def arm(version: AdapterVersion | None) -> dict[str, str | None]:
    """What serves an arm."""
    if version is None:
        return {"adapter": None, "adapter_digest": None}
    return {"adapter": version.adapter, "adapter_digest": version.adapter_digest}


def _common(
    version: AdapterVersion,
    now: datetime,
    decision: str,
    rests_on: lifecycle.Evidence,
    decided_by: str,
) -> dict[str, Any]:
    return {
        "tenant_id": version.tenant,
        "model": version.model,
        "version": version.version,
        "adapter": version.adapter,
        "adapter_uri": version.adapter_uri,
        "adapter_digest": version.adapter_digest,
        "base_model": version.base_model,
        "base_digest": version.base_digest,
        "rank": version.rank,
        "alpha": version.alpha,
        "target_modules": tuple(version.target_modules),
        "signature_uri": version.signature_uri,
        "dataset_version": version.dataset_version,
        "dataset_digest": version.dataset_digest,
        "job_id": version.job_id,
        "decision_id": decision,
        "evidence": rests_on,
        "decided_at": now,
        "decided_by": decided_by,
    }


def _add(
    connection: Connection,
    now: datetime,
    kind: str,
    version: AdapterVersion,
    decision: str,
    payload: dict[str, Any],
) -> str:
    return outbox.add(
        connection,
        now,
        type=kind,
        tenant=version.tenant,
        model=version.model,
        decision_id=decision,
        payload=payload,
    )
