"""Disposition: the truth table of what one event alone can decide."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from processors.curation.dispose import dispose_feedback, dispose_run, effective_trust
from processors.curation.policy import TRUST_ORDER, TRUSTED, CurationPolicy
from schemas.executions import ExecutionData, PlanData
from schemas.feedback import FeedbackData
from tests.support import erasure, execution, plan, thumb

POLICY = CurationPolicy(hmac_key=b"k", trust={"urn:low": "external", "urn:none": "unknown"})
NO_TEXT = {"messages": [], "outcome": {"status": "success"}}


def decided(
    changes: dict[str, Any], trust: str = "internal", quality: float | None = 100.0
) -> tuple[str, list[str]]:
    data = ExecutionData.model_validate(execution(**changes))
    found = dispose_run(data, trust=trust, quality=quality, policy=POLICY)
    return str(found.disposition), found.reasons


@pytest.mark.parametrize(
    ("changes", "trust", "quality", "disposition", "reasons"),
    [
        ({}, "internal", 100.0, "accepted", []),
        ({}, "external", 100.0, "accepted", []),
        ({}, "unknown", 100.0, "review", ["unknown_trust"]),
        ({"model": {}}, "internal", 100.0, "review", ["no_model"]),
        ({"model": {"name": "m", "arm": "shadow"}}, "internal", 100.0, "rejected", ["shadow"]),
        ({"model": {"name": "m", "arm": "candidate"}}, "internal", 100.0, "accepted", []),
        (NO_TEXT, "internal", 100.0, "review", ["no_text"]),
        ({**NO_TEXT, "outcome": {"status": "success", "answer": "x"}}, "internal", 100.0, "accepted", []),
        ({}, "internal", 70.0, "accepted", []),
        ({}, "internal", 69.9, "review", ["low_quality"]),
        ({}, "internal", 40.0, "review", ["low_quality"]),
        ({}, "internal", 39.9, "rejected", ["low_quality"]),
        ({}, "internal", None, "accepted", []),
        ({"confidence": 0.6}, "internal", 100.0, "accepted", []),
        ({"confidence": 0.59}, "internal", 100.0, "review", ["low_confidence"]),
        ({"confidence": 0.0}, "internal", 100.0, "review", ["low_confidence"]),
        ({"confidence": None}, "internal", 100.0, "accepted", ["confidence_absent"]),
        ({"model": {}, "confidence": 0.1}, "unknown", 10.0, "rejected",
         ["no_model", "unknown_trust", "low_quality", "low_confidence"]),
    ],
)  # fmt: skip
def test_an_execution(
    changes: dict[str, Any], trust: str, quality: float, disposition: str, reasons: list[str]
) -> None:
    assert decided(changes, trust, quality) == (disposition, reasons)


@pytest.mark.parametrize(
    ("valid", "score", "disposition", "reasons"),
    [
        (True, None, "accepted", ["confidence_absent"]),
        (None, 0.9, "accepted", ["confidence_absent"]),
        (None, None, "review", ["no_verdict", "confidence_absent"]),
    ],
)
def test_a_plan_needs_somebody_s_verdict(
    valid: Any, score: float | None, disposition: str, reasons: list[str]
) -> None:
    data = PlanData.model_validate(plan(valid=valid, score=score))
    found = dispose_run(data, trust="internal", quality=None, policy=POLICY)
    assert (found.disposition, found.reasons) == (disposition, reasons)


@pytest.mark.parametrize(
    ("kind", "trust", "disposition", "reasons"),
    [
        ("thumb", "internal", "accepted", []),
        ("thumb", "unknown", "review", ["unknown_trust"]),
        ("comment", "internal", "accepted", ["comment_only"]),
        ("comment", "unknown", "review", ["unknown_trust", "comment_only"]),
    ],
)
def test_feedback(kind: str, trust: str, disposition: str, reasons: list[str]) -> None:
    data = FeedbackData.model_validate(thumb("r", kind=kind))
    found = dispose_feedback(data, source="s", trust=trust)
    assert (found.disposition, found.reasons) == (disposition, reasons)


OWN = [
    ({"user_id": "bob"}, True),
    ({"user_id": "ann"}, False),
    ({"session_id": "s"}, True),
    ({"source": "s"}, False),
    ({"source": "other"}, False),
    ({"source": "s", "execution_id": "r"}, True),
    ({"source": "s", "plan_id": "p"}, True),
    ({"source": "other", "execution_id": "r"}, False),
    ({"source": "other", "plan_id": "p"}, False),
]


@pytest.mark.parametrize(("subject", "own"), OWN, ids=str)
@pytest.mark.parametrize("trust", TRUST_ORDER)
def test_a_source_that_is_not_trusted_erases_its_own_alone(
    subject: dict[str, str], own: object, trust: str
) -> None:
    data = FeedbackData.model_validate(erasure(**subject))
    found = dispose_feedback(data, source="s", trust=trust)
    expected = [] if trust in TRUSTED or (own and trust == "external") else ["not_its_own"]
    assert found.reasons == (["unknown_trust"] if trust == "unknown" else expected)
    assert (found.disposition == "accepted") is not bool(found.reasons)


def test_bob_is_only_himself_as_a_user() -> None:
    data = FeedbackData.model_validate(erasure(user_id="bob") | {"author_role": "judge"})
    assert dispose_feedback(data, source="s", trust="external").reasons == ["not_its_own"]


@pytest.mark.parametrize(("claim", "grant"), product([None, *TRUST_ORDER], TRUST_ORDER))
def test_a_claim_never_exceeds_what_is_granted(claim: str | None, grant: str) -> None:
    policy = CurationPolicy(hmac_key=b"k", trust={"s": grant})
    found = effective_trust(claim, "s", policy)
    rank = TRUST_ORDER.index
    assert rank(found) <= rank(grant)
    assert found in (claim, grant)
    if claim is not None:
        assert rank(found) <= rank(claim)


def test_sources_that_are_not_named_have_the_default_trust() -> None:
    assert effective_trust("verified", "urn:any", POLICY) == "internal"
    assert effective_trust(None, "urn:low", POLICY) == "external"
    assert effective_trust("verified", "urn:none", POLICY) == "unknown"
