"""What the evidence allows: the table of actions, and that no evidence allows nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.rollout.decide import Action, compare, decide_canary, decide_shadow, weights_of
from schemas.rollouts import ArmStats, RolloutPolicy
from schemas.verdicts import Verdict

STEPS = (0.05, 0.25, 0.5)
POLICY = RolloutPolicy(auto_promote=True, steps=STEPS)
LAST = len(STEPS) - 1
HOLD, ADVANCE, PROMOTE = Action.HOLD, Action.ADVANCE, Action.PROMOTE
ABORT, ROLL_BACK = Action.ABORT, Action.ROLL_BACK


def arm(n: int, share: float) -> ArmStats:
    return ArmStats(n=n, total=round(n * share), squares=round(n * share))


def decide(
    n: int,
    candidate: float,
    baseline: float,
    *,
    step: int = LAST,
    step_sessions: int = 200,
    hours: float = 1.0,
    **policy: Any,
) -> tuple[Action, Verdict]:
    success = {"candidate": arm(n, candidate), "baseline": arm(n, baseline)}
    found = decide_canary(
        POLICY.model_copy(update=policy),
        step=step,
        success=success,
        step_sessions=step_sessions,
        hours=hours,
    )
    assert found.verdict is found.comparisons[0].verdict
    assert found.why
    return found.action, found.verdict


BETTER, WORSE, SAME = (0.9, 0.8), (0.7, 0.9), (0.8, 0.8)
NO, PASS, FAIL = Verdict.INSUFFICIENT_DATA, Verdict.PASS, Verdict.FAIL
OPEN = Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("n", "shares", "changes", "action", "verdict"),
    [
        # no evidence: hold, at the deadline abort
        (0, SAME, {}, HOLD, NO),
        (99, (1.0, 0.0), {}, HOLD, NO),
        (99, (0.0, 1.0), {}, HOLD, NO),
        (99, (1.0, 0.0), {"hours": 24.0}, ABORT, NO),
        (99, (1.0, 0.0), {"hours": 23.9}, HOLD, NO),
        # harm: back at any step, at any time, whoever has to approve
        (500, WORSE, {"step": 0, "step_sessions": 0}, ROLL_BACK, FAIL),
        (500, WORSE, {"step": 1}, ROLL_BACK, FAIL),
        (5_000, WORSE, {"hours": 99.0}, ROLL_BACK, FAIL),
        (500, WORSE, {"auto_promote": False}, ROLL_BACK, FAIL),
        (100, (0.0, 1.0), {}, ROLL_BACK, FAIL),
        # before the last step: one step at a time, after enough sessions in it
        (5_000, BETTER, {"step": 0}, ADVANCE, PASS),
        (5_000, BETTER, {"step": 1}, ADVANCE, PASS),
        (5_000, SAME, {"step": 1}, ADVANCE, OPEN),
        (5_000, BETTER, {"step": 0, "step_sessions": 199}, HOLD, PASS),
        (5_000, BETTER, {"step": 0, "step_sessions": 199, "hours": 24.0}, ABORT, PASS),
        # the last step: enough sessions, an interval above zero, an improvement that matters
        (5_000, BETTER, {}, PROMOTE, PASS),
        (5_000, BETTER, {"step_sessions": 199}, HOLD, PASS),
        (999, BETTER, {}, HOLD, PASS),
        (1_000, BETTER, {}, PROMOTE, PASS),
        (1_000, BETTER, {"promote_min": 1_001}, HOLD, PASS),
        (5_000, SAME, {}, HOLD, OPEN),
        (5_000, SAME, {"hours": 24.0}, ABORT, OPEN),
        (100_000, (0.81, 0.80), {}, HOLD, PASS),
        (100_000, (0.81, 0.80), {"min_improvement": 0.01}, PROMOTE, PASS),
        (100_000, (0.81, 0.80), {"hours": 24.0}, ABORT, PASS),
        # approval: ready candidates wait for a person, past the deadline too
        (5_000, BETTER, {"auto_promote": False}, HOLD, PASS),
        (5_000, BETTER, {"auto_promote": False, "hours": 99.0}, HOLD, PASS),
        (5_000, SAME, {"auto_promote": False, "hours": 99.0}, ABORT, OPEN),
    ],
)  # fmt: skip
def test_the_table_of_actions(
    n: int, shares: tuple[float, float], changes: Any, action: Action, verdict: Verdict
) -> None:
    assert decide(n, *shares, **changes) == (action, verdict)


@pytest.mark.parametrize("missing", [("candidate",), ("baseline",), ("candidate", "baseline")])
def test_an_arm_that_is_not_there_is_no_evidence(missing: tuple[str, ...]) -> None:
    arms = {"candidate": arm(9_999, 1.0), "baseline": arm(9_999, 0.0), "stable": arm(99, 1.0)}
    success = {name: found for name, found in arms.items() if name not in missing}
    found = decide_canary(POLICY, step=LAST, success=success, step_sessions=9_999, hours=0)
    assert (found.action, found.verdict) == (HOLD, NO)


def test_the_smaller_arm_counts() -> None:
    found = compare("success", arm(9_999, 1.0), arm(99, 0.0), POLICY)
    assert found.verdict is NO


@given(
    st.integers(0, 3_000), st.floats(0, 1), st.floats(0, 1),
    st.integers(0, LAST), st.integers(0, 3_000), st.floats(0, 48), st.booleans(),
)  # fmt: skip
def test_what_may_never_happen(
    n: int,
    candidate: float,
    baseline: float,
    step: int,
    step_sessions: int,
    hours: float,
    auto: Any,
) -> None:
    action, verdict = decide(
        n, candidate, baseline,
        step=step, step_sessions=step_sessions, hours=hours, auto_promote=auto,
    )  # fmt: skip
    better = arm(n, candidate).mean - arm(n, baseline).mean
    if action is PROMOTE:
        assert auto
        assert verdict is PASS
        assert step == LAST
        assert n >= POLICY.promote_min
        assert step_sessions >= POLICY.step_min
        assert better >= POLICY.min_improvement * arm(n, baseline).mean
    if action is ADVANCE:
        assert verdict in (PASS, OPEN)
        assert step < LAST
        assert step_sessions >= POLICY.step_min
    assert (action is ROLL_BACK) is (verdict is FAIL)
    assert (verdict is NO) is (n < POLICY.verdict_min)
    if action is ABORT:
        assert hours >= POLICY.max_hours


@pytest.mark.parametrize(
    ("mirrored", "valid", "hours", "action", "verdict"),
    [
        (0, 0, 0.0, HOLD, NO),
        (99, 0, 23.9, HOLD, NO),
        (99, 99, 24.0, ABORT, NO),
        (100, 100, 0.0, ADVANCE, PASS),
        (100, 80, 99.0, ADVANCE, PASS),
        (100, 73, 0.0, ADVANCE, PASS),
        (100, 72, 0.0, ABORT, FAIL),
        (10_000, 7_900, 0.0, ABORT, FAIL),
        (100, 0, 0.0, ABORT, FAIL),
    ],
)
def test_the_shadow_may_veto_and_never_support(
    mirrored: int, valid: int, hours: float, action: Action, verdict: Verdict
) -> None:
    found = decide_shadow(POLICY, mirrored=mirrored, valid=valid, hours=hours)
    assert (found.action, found.verdict, found.comparisons) == (action, verdict, ())


def test_weights_leave_the_rest_to_the_stable_arm() -> None:
    assert weights_of(POLICY, 0) == {"candidate": 0.05, "baseline": 0.05, "stable": 0.9}
    assert weights_of(POLICY, 2) == {"candidate": 0.5, "baseline": 0.5, "stable": 0.0}
    for step in range(len(RolloutPolicy().steps)):
        assert sum(weights_of(RolloutPolicy(), step).values()) == pytest.approx(1)
