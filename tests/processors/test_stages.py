"""Validation stages: verdicts from graded answers, and that no evidence never deploys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from processors.evaluation.stages import ValidationSettings, benchmark, regression, validate
from schemas.verdicts import Recommendation, Verdict

SETTINGS = ValidationSettings()
PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.INSUFFICIENT_DATA
OPEN, NONE = Verdict.INCONCLUSIVE, Verdict.NO_BASELINE
DEPLOY, REVIEW, REJECT = Recommendation.DEPLOY, Recommendation.REVIEW, Recommendation.REJECT
graded = st.lists(st.booleans(), max_size=300)


def answers(right: int, wrong: int) -> list[bool]:
    return [True] * right + [False] * wrong


@pytest.mark.parametrize(
    ("right", "wrong", "verdict"),
    [
        (0, 0, NONE),
        (99, 0, FEW),
        (0, 99, FEW),
        (100, 0, PASS),
        (95, 5, PASS),
        (94, 6, FAIL),
        (0, 100, FAIL),
        (949, 51, FAIL),
        (950, 50, PASS),
    ],
)
def test_regression(right: int, wrong: int, verdict: Verdict) -> None:
    found = regression(answers(right, wrong), SETTINGS)
    assert (found.stage, found.critical, found.verdict) == ("regression", True, verdict)
    if right + wrong:
        (measure,) = found.measures
        assert (measure.value, measure.n) == (right / (right + wrong), right + wrong)


@pytest.mark.parametrize(
    ("both", "won", "lost", "neither", "verdict"),
    [
        (0, 0, 0, 0, NONE),
        (99, 0, 0, 0, FEW),
        (0, 99, 0, 0, FEW),
        (100, 0, 0, 0, PASS),
        (80, 20, 0, 0, PASS),
        (0, 0, 0, 100, PASS),
        (96, 2, 2, 0, PASS),
        (90, 0, 10, 0, OPEN),
        (80, 0, 20, 0, FAIL),
        (0, 100, 0, 0, PASS),
        (0, 0, 100, 0, FAIL),
        (60, 20, 20, 0, OPEN),
        (6_000, 2_000, 2_000, 0, PASS),
    ],
)
def test_benchmark(both: int, won: int, lost: int, neither: int, verdict: Verdict) -> None:
    candidate = [True] * (both + won) + [False] * (lost + neither)
    stable = [True] * both + [False] * won + [True] * lost + [False] * neither
    found = benchmark(candidate, stable, SETTINGS)
    assert (found.stage, found.critical, found.verdict) == ("benchmark", True, verdict)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300))
def test_the_paired_interval(pairs: list[tuple[bool, bool]]) -> None:
    n = len(pairs)
    (measure,) = benchmark([a for a, _ in pairs], [b for _, b in pairs], SETTINGS).measures
    differences = [int(a) - int(b) for a, b in pairs]
    mean = sum(differences) / n
    spread = sum((d - mean) ** 2 for d in differences) / max(n - 1, 1)
    half = norm.ppf(0.975) * ((n * spread + 0.25) / (n + 1) / n) ** 0.5
    assert measure.value == pytest.approx(mean)
    assert (measure.low, measure.high) == pytest.approx((mean - half, mean + half), rel=1e-5)


def test_answers_that_do_not_pair_are_no_baseline() -> None:
    assert benchmark(answers(200, 0), answers(199, 0), SETTINGS).verdict is NONE
    assert benchmark(answers(200, 0), [], SETTINGS).verdict is NONE
    assert benchmark([], answers(200, 0), SETTINGS).verdict is NONE


@pytest.mark.parametrize(
    ("candidate", "stable", "recommendation", "verdict"),
    [
        (answers(100, 0), answers(100, 0), DEPLOY, PASS),
        (answers(100, 0), answers(0, 100), DEPLOY, PASS),
        (answers(96, 4), answers(100, 0), REVIEW, OPEN),
        (answers(90, 10), answers(90, 10), REJECT, FAIL),
        (answers(99, 0), answers(99, 0), REVIEW, FEW),
        (answers(0, 99), answers(99, 0), REVIEW, FEW),
        (answers(100, 0), [], REVIEW, NONE),
        ([], [], REVIEW, NONE),
    ],
    ids=lambda value: str(value)[:12],
)
def test_both_stages_together(
    candidate: list[bool], stable: list[bool], recommendation: Any, verdict: Verdict
) -> None:
    found = validate(candidate, stable, SETTINGS)
    assert [stage.stage for stage in found.stages] == ["regression", "benchmark"]
    assert (found.recommendation, found.verdict) == (recommendation, verdict)


@given(graded, graded, st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_too_little_or_nothing_to_compare_never_deploys(
    candidate: list[bool], stable: list[bool], least: int, share: float, worse: float
) -> None:
    settings = ValidationSettings(min_cases=least, min_pass=share, max_worse=worse)
    found = validate(candidate, stable, settings)
    if found.recommendation is DEPLOY:
        assert len(candidate) == len(stable) >= least
        assert sum(candidate) >= share * len(candidate) - 1e-9
        assert {stage.verdict for stage in found.stages} == {PASS}
    if len(candidate) < least or len(candidate) != len(stable):
        assert found.recommendation in (REVIEW, REJECT)


@given(st.lists(st.booleans(), min_size=100, max_size=200))
def test_one_more_right_answer_never_makes_the_verdict_worse(candidate: list[bool]) -> None:
    order = [PASS, OPEN, FEW, NONE, FAIL]
    stable = [True] * len(candidate)
    better = [*candidate]
    if False in better:
        better[better.index(False)] = True
    for stage in (0, 1):
        before = validate(candidate, stable, SETTINGS).stages[stage].verdict
        after = validate(better, stable, SETTINGS).stages[stage].verdict
        assert order.index(after) <= order.index(before)
