"""When to train: enough new examples, or failures that are surely above their limit."""

from __future__ import annotations

from typing import Any

import pytest

from processors.drift.thresholds import Thresholds, Window, failure_verdict, training_trigger
from processors.rollout.sequences import wilson
from schemas.verdicts import Verdict

LIMITS = Thresholds()


def window(new: int, executions: int = 0, failures: int = 0) -> Window:
    return Window(new_examples=new, new_corrections=0, executions=executions, failures=failures)


def trigger(found: Window) -> str | None:
    low, _ = wilson(found.failures, found.executions)
    reason = training_trigger(found, LIMITS, failure_low=low)
    return reason.name if reason else None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (window(0), None),
        (window(999), None),
        (window(1_000), "new_examples"),
        (window(199, 1_000, 1_000), None),
        (window(200, 1_000, 1_000), "failure_rate"),
        (window(200, 1_000, 300), None),
        (window(200, 1_000, 320), None),
        (window(200, 1_000, 340), "failure_rate"),
        (window(200, 199, 199), None),
        (window(200, 200, 199), "failure_rate"),
        (window(1_000, 1_000, 999), "failure_rate"),
        (window(1_000, 1_000, 0), "new_examples"),
    ],
    ids=str,
)
def test_what_starts_a_job(found: Window, expected: str | None) -> None:
    assert trigger(found) == expected


@pytest.mark.parametrize(
    ("executions", "low", "verdict"),
    [
        (0, 1.0, Verdict.INSUFFICIENT_DATA),
        (199, 1.0, Verdict.INSUFFICIENT_DATA),
        (200, 0.3, Verdict.PASS),
        (200, 0.31, Verdict.FAIL),
    ],
)
def test_failures_are_judged_by_their_lower_bound(
    executions: int, low: float, verdict: Verdict
) -> None:
    assert failure_verdict(window(0, executions, executions), LIMITS, low) is verdict


def test_a_trigger_says_its_figures() -> None:
    found = training_trigger(window(250, 1_000, 500), LIMITS, failure_low=0.46)
    assert found
    assert "0.50 over 1000 executions, limit 0.30; 250 new examples" in found.detail
    enough = training_trigger(window(1_234), LIMITS, failure_low=0.0)
    assert enough
    assert "1234 new examples" in enough.detail


def test_without_executions_there_is_no_rate() -> None:
    assert window(0).failure_rate is None
    assert window(0, 4, 1).failure_rate == 0.25


@pytest.mark.parametrize(
    "changes",
    [{"failure_rate": 0}, {"failure_rate": 1.1}, {"new_examples": 0}, {"typo": 1}],
    ids=str,
)
def test_thresholds_without_meaning_are_refused(changes: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Thresholds(**changes)
