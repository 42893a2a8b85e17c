"""Intervals: against scipy, against their own formula written once more, and at their edges."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from processors.rollout.sequences import difference, mixture_rho, variance_of_mean, wilson
from schemas.rollouts import ArmStats

counts = st.integers(1, 5_000)
shares = st.floats(0, 1)


def arm(n: int, successes: float) -> ArmStats:
    return ArmStats(n=n, total=successes, squares=successes)


@given(counts, shares)
def test_wilson_is_scipy_s(n: int, share: float) -> None:
    successes = round(share * n)
    theirs = binomtest(successes, n).proportion_ci(method="wilson")
    low, high = wilson(successes, n)
    assert low == pytest.approx(theirs.low, abs=1e-6)
    assert high == pytest.approx(theirs.high, abs=1e-6)
    assert 0 <= low <= successes / n <= high <= 1


def test_wilson_at_its_edges() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(5, 10, z=0.0) == (0.5, 0.5)


@given(counts, shares, counts, shares)
def test_the_interval_holds_the_estimate_and_turns_with_the_arms(
    n: int, left: float, m: int, right: float
) -> None:
    one, other = arm(n, round(left * n)), arm(m, round(right * m))
    estimate, low, high = difference(one, other, alpha=0.05, planned=1_000)
    assert estimate == one.mean - other.mean
    assert low < estimate < high
    turned = difference(other, one, alpha=0.05, planned=1_000)
    assert turned == pytest.approx((-estimate, -high, -low))


@given(counts, shares, st.sampled_from([100, 1_000, 10_000]), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_radius_is_the_paper_s(n: int, share: float, planned: int, alpha: float) -> None:
    """Waudby-Smith et al., theorem 2.2: s·sqrt(2(tρ²+1)/(t²ρ²)·log(sqrt(tρ²+1)/α)), here s²/t → Var."""
    found = arm(n, round(share * n))
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / (2 * planned))
    t = 2 * n
    scaled = 2 * (t * rho**2 + 1) / (t * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / alpha)
    share = found.total / n
    variance = 2 * (n * share * (1 - share) + 0.25) / (n + 1) / n
    _, low, high = difference(found, found, alpha=alpha, planned=planned)
    assert high == pytest.approx(math.sqrt(variance * scaled))
    assert low == -high


def test_an_arm_without_units_says_nothing() -> None:
    for arms in ((ArmStats(), arm(9, 9)), (arm(9, 9), ArmStats()), (ArmStats(), ArmStats())):
        assert difference(*arms, alpha=0.05, planned=100) == (0.0, -1.0, 1.0)


def test_more_evidence_and_more_risk_make_it_narrower() -> None:
    def width(n: int, alpha: float = 0.05) -> float:
        _, low, high = difference(arm(n, n // 2), arm(n, n // 2), alpha=alpha, planned=1_000)
        return high - low

    assert width(200) > width(400) > width(4_000) > width(40_000)
    assert width(400, 0.01) > width(400, 0.05) > width(400, 0.2)


def test_it_is_tightest_where_it_was_planned() -> None:
    def radius(n: int, planned: int) -> float:
        return difference(arm(n, n / 2), arm(n, n / 2), alpha=0.05, planned=planned)[2]

    for n in (100, 1_000, 10_000):
        others = [radius(n, planned) for planned in (n // 10, n // 3, n * 3, n * 10)]
        assert radius(n, n) <= min(others)
    assert mixture_rho(400, 0.05) < mixture_rho(100, 0.05)


def test_a_short_run_of_equal_outcomes_is_not_certain() -> None:
    for n in (1, 5, 20):
        assert variance_of_mean(arm(n, n)) == pytest.approx(0.25 / (n + 1) / n)
        _, low, high = difference(arm(n, n), arm(n, 0), alpha=0.05, planned=1_000)
        assert low < 1 < high
    assert difference(arm(5, 5), arm(5, 0), alpha=0.05, planned=1_000)[1] < 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_statistics_of_any_bounded_metric_give_its_variance(values: list[float]) -> None:
    n = len(values)
    found = ArmStats(n=n, total=sum(values), squares=sum(value**2 for value in values))
    mean = sum(values) / n
    spread = sum((value - mean) ** 2 for value in values) / n
    assert variance_of_mean(found) == pytest.approx((n * spread + 0.25) / (n + 1) / n, abs=1e-9)
