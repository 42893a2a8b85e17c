"""Feedback: what each kind needs, and which shapes a subject of erasure may have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.feedback import FeedbackData, GatewayAdapterData, Subject, Target, TelemetryData
from tests.support import edit, erasure, gateway, telemetry, thumb

TURN = {"role": "assistant", "content": "x"}
SCORE = thumb("r", kind="score")
GOOD = [
    thumb("r", 1),
    thumb("r", -1),
    {**SCORE, "value": 0.0},
    {**SCORE, "value": 1},
    {**SCORE, "value": 70, "scale": [0, 100], "confidence": 0.5},
    {**SCORE, "value": -1, "scale": [-1, 1]},
    edit("r", []),
    {**edit("r", []), "messages": None, "answer": ""},
    {**edit("r", []), "messages": None, "answer": False},
    thumb("r", kind="comment", value=None, comment="fine"),
    thumb("r", kind="decision", value="accept"),
    thumb("r", kind="decision", value="reject"),
    erasure(user_id="u"),
    {**erasure(user_id="u"), "target": None},
]
BAD = {
    "a thumb of zero": thumb("r", 0),
    "a thumb without a value": thumb("r", value=None),
    "a thumb in words": thumb("r", value="1"),
    "a score above its scale": {**SCORE, "value": 70},
    "a score below its scale": {**SCORE, "value": -0.1},
    "a score in words": {**SCORE, "value": "0.5"},
    "a score of true": {**SCORE, "value": True},
    "a score without a value": {**SCORE, "value": None},
    "a scale of nothing": {**SCORE, "value": 1, "scale": [1, 1]},
    "a scale upside down": {**SCORE, "value": 1, "scale": [2, 0]},
    "a scale of three": {**SCORE, "value": 1, "scale": [0, 1, 2]},
    "an edit of nothing": {**edit("r", []), "messages": []},
    "a decision of maybe": thumb("r", kind="decision", value="maybe"),
    "a decision without a value": thumb("r", kind="decision", value=None),
    "a thumb on nothing": {**thumb("r"), "target": None},
    "an erasure of nothing": {**erasure(user_id="u"), "subject": None},
    "nobody's": {**thumb("r"), "author": ""},
    "of an unknown role": thumb("r", author_role="king"),
    "of an unknown kind": thumb("r", kind="applause"),
}
SUBJECTS: list[dict[str, Any]] = [
    {"user_id": "u"},
    {"session_id": "s"},
    {"source": "x"},
    {"source": "x", "execution_id": "r"},
    {"source": "x", "plan_id": "p"},
    {"user_id": "u", "session_id": None, "source": None},
    {"user_id": "u", "ticket": "GDPR-1"},
]
NO_SUBJECTS: list[dict[str, Any]] = [
    {},
    {"user_id": None},
    {"user_id": ""},
    {"user_id": "u", "session_id": "s"},
    {"execution_id": "r"},
    {"plan_id": "p"},
    {"source": "x", "execution_id": "r", "plan_id": "p"},
    {"user_id": "u", "source": "x"},
    {"ticket": "GDPR-1"},
]


@pytest.mark.parametrize("data", GOOD, ids=str)
def test_complete_feedback_is_read(data: dict[str, Any]) -> None:
    assert FeedbackData.model_validate(data).kind == data["kind"]


@pytest.mark.parametrize("name", BAD)
def test_incomplete_feedback_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        FeedbackData.model_validate(BAD[name])


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_these_can_be_forgotten(subject: dict[str, Any]) -> None:
    found = Subject.model_validate(subject).model_dump(exclude_none=True)
    assert found == {name: value for name, value in subject.items() if value is not None}


@pytest.mark.parametrize("subject", NO_SUBJECTS, ids=str)
def test_nothing_else_can_be_forgotten(subject: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Subject.model_validate(subject)


@pytest.mark.parametrize("target", [{}, {"execution_id": "a", "plan_id": "b"}, {"source": "s"}])
def test_a_target_is_one_run(target: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Target.model_validate(target)
    assert Target.model_validate({"execution_id": "a", "source": "s"}).plan_id is None


def test_samples_and_answers_of_gateways_name_somebody() -> None:
    named = TelemetryData.model_validate(telemetry(agent_id=None, component="db"))
    assert (named.agent_id, named.component, named.failed) == (None, "db", None)
    for wrong in ({"agent_id": None}, {"cpu_usage": 1.1}, {"sampled_at": "2026-03-01T12:00:00"}):
        with pytest.raises(ValidationError):
            TelemetryData.model_validate(telemetry(**wrong))
    for wrong in ({"state": "loading"}, {"adapter": ""}, {"model": None}):
        with pytest.raises(ValidationError):
            GatewayAdapterData.model_validate(gateway(**wrong))
