"""Events that go out on `model.lifecycle`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

CANDIDATE = "model.candidate"
PROMOTED = "model.promoted"
ROLLED_BACK = "model.rolled_back"
CONVERGED = "model.converged"
ROUTE = "model.route"
ARCHIVED = "model.archived"
QUARANTINED = "model.quarantined"

Reason = Literal[
    "first",
    "rollout",
    "manual",
    "metric",
    "not_converged",
    "safety",
    "drill",
    "insufficient_data",
    "erasure",
    "quarantine",
]


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class VersionRef(_Out):
    """A version in the registry and the adapter that carries it."""

    version: str
    adapter: str
    adapter_digest: str


class MetricEvidence(_Out):
    """One metric of a decision: candidate against its own baseline arm, per session."""

    name: str
    stable: float
    candidate: float
    difference: float
    low: float
    high: float
    n_stable: int
    n_candidate: int
    verdict: str


class Evidence(_Out):
    """What a decision rests on."""

    uri: str | None = None
    verdict: str
    metrics: tuple[MetricEvidence, ...] = ()


class Transition(_Out):
    """`data` of candidate, promoted, rolled_back, archived and quarantined."""

    tenant_id: str
    model: str
    version: str
    adapter: str
    adapter_uri: str
    adapter_digest: str
    base_model: str
    base_digest: str
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    signature_uri: str | None
    provenance_uri: str | None = None
    previous: VersionRef | None
    reason: Reason
    dataset_version: str
    dataset_digest: str
    job_id: str
    decision_id: str
    evidence: Evidence
    decided_at: AwareDatetime
    decided_by: str


class ModelCandidate(Transition):
    """`model.candidate`: a version begins its roll-out."""


class ModelPromoted(Transition):
    """`model.promoted`: a version now serves all traffic."""


class ModelArchived(Transition):
    """`model.archived`: a candidate was stopped before promotion with no harm shown."""


class ModelQuarantined(Transition):
    """`model.quarantined`: a version must not serve again; what it learned from was taken back."""


class ModelRolledBack(Transition):
    """`model.rolled_back`: traffic returned from one version to another (None: the base model)."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    origin: VersionRef
    to: VersionRef | None
    detected_at: AwareDatetime

    def payload(self) -> dict[str, Any]:
        """JSON data with the field `from`, which Python cannot name."""
        body = self.model_dump(mode="json")
        body["from"] = body.pop("origin")
        return body


class ModelConverged(_Out):
    """`model.converged`: every replica serves what was decided."""

    tenant_id: str
    model: str
    decision_id: str
    action: str
    replicas: int
    failed: tuple[str, ...] = ()
    converged_at: AwareDatetime
