"""Error rates and power of the production decision, by simulation.

200 sessions an hour and arm, looked at every hour for two weeks, with nothing between the interval
and a promotion (the least improvement that matters is 0 here), which is the worst case.
"""

from __future__ import annotations

from collections import Counter
from statistics import median

import numpy as np
from scipy.stats import binomtest

from processors.rollout.decide import Action, decide_canary
from schemas.rollouts import ArmStats, RolloutPolicy

POLICY = RolloutPolicy(
    auto_promote=True, steps=(0.5,), step_min=1, min_improvement=0.0, max_hours=1e6
)
End = tuple[Action, int]


def simulate(
    runs: int, baseline: float, candidate: float, *, seed: int, looks: int = 336, step: int = 200
) -> list[End]:
    """How each run ends and at how many sessions an arm; HOLD where it never does."""
    dice = np.random.default_rng(seed)
    shape = (runs, looks)
    totals = [dice.binomial(step, p, shape).cumsum(axis=1) for p in (candidate, baseline)]
    return [
        _one(left, right, step) for left, right in zip(*(t.tolist() for t in totals), strict=True)
    ]


def _one(candidate: list[int], baseline: list[int], step: int) -> End:
    for look, (left, right) in enumerate(zip(candidate, baseline, strict=True), start=1):
        n = look * step
        success = {
            "candidate": ArmStats(n=n, total=left, squares=left),
            "baseline": ArmStats(n=n, total=right, squares=right),
        }
        decision = decide_canary(
            POLICY, step=0, success=success, step_sessions=n, hours=float(look)
        )
        if decision.action is not Action.HOLD:
            return decision.action, n
    return Action.HOLD, len(candidate) * step


def upper(hits: int, runs: int) -> float:
    """The upper end of the exact 95 % interval of a rate."""
    return float(binomtest(hits, runs).proportion_ci().high)


def test_without_a_difference_errors_stay_below_their_budget() -> None:
    runs = 1_600
    ends = Counter(action for action, _ in simulate(runs, 0.9, 0.9, seed=1))
    print("of", runs, "A/A canaries:", dict(ends))
    assert upper(ends[Action.PROMOTE], runs) <= 0.025
    assert upper(ends[Action.ROLL_BACK], runs) <= 0.025
    assert 0 < ends[Action.PROMOTE] + ends[Action.ROLL_BACK] == runs - ends[Action.HOLD]


def test_a_tiny_canary_of_good_agents_is_safe_as_well() -> None:
    runs = 1_500
    ends = Counter(a for a, _ in simulate(runs, 0.97, 0.97, seed=2, looks=168, step=5))
    assert upper(ends[Action.PROMOTE], runs) <= 0.025
    assert upper(ends[Action.ROLL_BACK], runs) <= 0.025


def test_four_points_are_found() -> None:
    runs = 500
    ends = simulate(runs, 0.90, 0.94, seed=3)
    found = [n for action, n in ends if action is Action.PROMOTE]
    print("+4 points:", len(found) / runs, "found, median sessions an arm", median(found))
    assert len(found) >= 0.99 * runs
    assert median(found) <= 3_000


def test_harm_is_found_fast() -> None:
    """Failures from 10 to 30 %, looked at after every tenth session."""
    ends = simulate(500, 0.9, 0.7, seed=4, step=10)
    assert {action for action, _ in ends} == {Action.ROLL_BACK}
    sessions = [n for _, n in ends]
    print("10 to 30 % failures: median sessions an arm", median(sessions))
    assert median(sessions) <= 150
    assert sorted(sessions)[int(0.99 * len(sessions))] <= 400


def test_harm_is_worse_than_no_harm() -> None:
    """The test above can fail: small harm takes longer, none is not found."""
    small = [n for action, n in simulate(100, 0.9, 0.85, seed=5) if action is Action.ROLL_BACK]
    assert len(small) >= 99
    assert median(small) > 400
