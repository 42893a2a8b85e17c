"""Quality: renormalised over what is stated, monotone, and silent where nothing is known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from processors.curation.score import execution_parts, plan_parts, quality
from schemas.executions import ExecutionData, PlanData
from tests.support import execution, plan

shares = st.floats(0, 1)
parts = st.dictionaries(st.sampled_from(["outcome", "gates", "health"]), shares)


def run(**changes: Any) -> ExecutionData:
    return ExecutionData.model_validate(execution(**changes))


def tools(errors: list[bool | None]) -> list[dict[str, Any]]:
    return [{"role": "tool", "content": "x", "error": error} for error in errors]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({"status": "success"}, 1.0),
        ({"status": "partial"}, 0.5),
        ({"status": "failure"}, 0.0),
        ({"status": "timeout"}, 0.0),
        ({"status": "cancelled"}, 0.0),
        ({"status": "error"}, 0.0),
        ({"status": "success", "score": 0.25}, 0.25),
        ({"status": "failure", "score": 0.75}, 0.75),
        ({"status": "success", "score": 0.0}, 0.0),
    ],
    ids=str,
)
def test_the_outcome_is_its_score_or_its_status(outcome: Any, expected: float) -> None:
    assert execution_parts(run(outcome=outcome, messages=[])) == {"outcome": expected}


def test_gates_and_tool_results_are_shares_and_absent_where_there_are_none() -> None:
    gates = [{"name": "a", "passed": True}, {"name": "b", "passed": False}]
    outcome = {"status": "success", "gates": gates}
    found = execution_parts(run(outcome=outcome, messages=tools([True, None, False, False])))
    assert found == {"outcome": 1.0, "gates": 0.5, "health": 0.75}


@pytest.mark.parametrize(
    ("given_parts", "expected"),
    [
        ({}, None),
        ({"outcome": 1.0}, 100.0),
        ({"outcome": 0.0}, 0.0),
        ({"gates": 0.5}, 50.0),
        ({"outcome": 1.0, "gates": 0.0}, 75.0),
        ({"outcome": 1.0, "health": 0.5}, 87.5),
        ({"gates": 1.0, "health": 0.0}, 50.0),
        ({"outcome": 0.5, "gates": 1.0, "health": 1.0}, 70.0),
    ],
    ids=str,
)
def test_quality_is_renormalised_over_the_parts_present(given_parts: Any, expected: Any) -> None:
    assert quality(given_parts) == expected


@given(parts)
def test_quality_lies_between_the_worst_and_the_best_part(found: dict[str, float]) -> None:
    value = quality(found)
    assume(value is not None)
    assert 100 * min(found.values()) - 1e-5 <= (value or 0) <= 100 * max(found.values()) + 1e-5


@given(parts, shares, st.integers(0, 2))
def test_a_better_part_never_lowers_quality(
    found: dict[str, float], other: float, place: int
) -> None:
    assume(found)
    name = sorted(found)[place % len(found)]
    better = {**found, name: max(found[name], other)}
    assert (quality(better) or 0) >= (quality(found) or 0)


@given(parts)
def test_the_order_of_parts_does_not_matter(found: dict[str, float]) -> None:
    turned = dict(reversed(found.items()))
    assert quality(turned) == pytest.approx(quality(found), abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"valid": True, "score": 0.1}, {"outcome": 1.0}),
        ({"valid": False, "score": 0.9}, {"outcome": 0.0}),
        ({"valid": None, "score": 0.4}, {"outcome": 0.4}),
        ({"valid": None}, {}),
    ],
    ids=str,
)
def test_a_plan_s_validator_goes_before_its_planner(changes: Any, expected: Any) -> None:
    assert plan_parts(PlanData.model_validate(plan(**changes))) == expected
