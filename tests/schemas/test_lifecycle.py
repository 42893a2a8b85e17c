"""Lifecycle events: what gateways and people read of a decision."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from schemas.lifecycle import Evidence, MetricEvidence, ModelPromoted, ModelRolledBack, VersionRef
from schemas.rollouts import ROLLOUT_TRANSITIONS, ArmStats, RolloutState
from tests.support import NOW

BAD = VersionRef(version="1.2.0", adapter="m-222", adapter_digest="2" * 64)
GOOD = VersionRef(version="1.1.0", adapter="m-111", adapter_digest="1" * 64)
COMMON: dict[str, Any] = {
    "tenant_id": "t",
    "model": "m",
    "version": "1.2.0",
    "adapter": "m-222",
    "adapter_uri": "file:///a",
    "adapter_digest": "2" * 64,
    "base_model": "base",
    "base_digest": "b",
    "rank": 8,
    "alpha": 16,
    "target_modules": ("q_proj",),
    "signature_uri": None,
    "previous": GOOD,
    "dataset_version": "1.0.0",
    "dataset_digest": "d",
    "job_id": "j",
    "decision_id": "x",
    "evidence": Evidence(verdict="fail"),
    "decided_at": NOW,
    "decided_by": "policy:rollout@1",
}


def rolled_back(to: VersionRef | None) -> ModelRolledBack:
    return ModelRolledBack(**COMMON, reason="metric", origin=BAD, to=to, detected_at=NOW)


def test_a_rollback_says_from_and_to() -> None:
    body = rolled_back(GOOD).payload()
    assert body["from"] == {"version": "1.2.0", "adapter": "m-222", "adapter_digest": "2" * 64}
    assert body["to"]["version"] == "1.1.0"
    assert "origin" not in body
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_a_rollback_to_the_base_model_goes_to_null() -> None:
    body = rolled_back(None).payload()
    assert body["to"] is None
    assert "to" in body


def test_times_are_rfc_3339_with_an_offset() -> None:
    body = rolled_back(GOOD).payload()
    assert body["detected_at"] == body["decided_at"] == "2026-03-01T12:00:00Z"


def test_a_promotion_carries_what_a_gateway_loads_and_what_it_rests_on() -> None:
    metric = MetricEvidence(
        name="success",
        stable=0.8,
        candidate=0.9,
        difference=0.1,
        low=0.05,
        high=0.15,
        n_stable=1_000,
        n_candidate=1_001,
        verdict="pass",
    )
    evidence = Evidence(verdict="pass", metrics=(metric,))
    event = ModelPromoted(**{**COMMON, "evidence": evidence, "previous": None}, reason="first")
    body = event.model_dump(mode="json")
    assert TypeAdapter(ModelPromoted).validate_json(json.dumps(body)) == event
    assert body["previous"] is None
    assert body["evidence"]["metrics"][0]["low"] == 0.05
    assert {"adapter_uri", "adapter_digest", "base_digest", "rank", "alpha"} <= body.keys()


def test_only_a_canary_or_a_promotion_can_be_rolled_back() -> None:
    before = {state for state, nexts in ROLLOUT_TRANSITIONS.items() if "rolled_back" in nexts}
    assert before == {RolloutState.CANARY, RolloutState.PROMOTED}
    ended = {state for state in RolloutState if state.ended}
    assert ended == {RolloutState.PROMOTED, RolloutState.ABORTED, RolloutState.ROLLED_BACK}


def test_an_arm_s_statistics_are_sufficient() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    arm = ArmStats(n=4, total=sum(values), squares=sum(value**2 for value in values))
    assert arm.mean == 0.625
    assert arm.variance == sum((value - 0.625) ** 2 for value in values) / 4
    assert (ArmStats().mean, ArmStats().variance) == (0.0, 0.0)
    assert ArmStats(n=3, total=0.3, squares=0.03).variance >= 0
