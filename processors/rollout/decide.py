"""What the evidence allows a candidate to do next. One function, in production and in simulations.

No evidence, no promotion: too few sessions hold, then abort at the deadline. Harm sends it back at
any look; a promotion needs the last step, enough sessions, an interval above zero and an improvement
that matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from processors.rollout.sequences import difference, wilson
from schemas.rollouts import ArmStats, RolloutPolicy
from schemas.verdicts import Verdict


class Action(StrEnum):
    """What to do now."""

    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    ABORT = "abort"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate against baseline in one metric, per session, with its anytime-valid interval."""

    name: str
    candidate: ArmStats
    baseline: ArmStats
    estimate: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """An action, the verdict behind it, the comparisons it rests on, and one plain sentence."""

    action: Action
    verdict: Verdict
    comparisons: tuple[Comparison, ...]
    why: str


def compare(
    name: str, candidate: ArmStats, baseline: ArmStats, policy: RolloutPolicy
) -> Comparison:
    """Compare one metric where more is better: pass above zero, fail below, else inconclusive."""
    estimate, low, high = difference(
        candidate, baseline, alpha=policy.alpha, planned=policy.promote_min
    )
    if min(candidate.n, baseline.n) < policy.verdict_min:
        verdict = Verdict.INSUFFICIENT_DATA
    elif low > 0:
        verdict = Verdict.PASS
    elif high < 0:
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.INCONCLUSIVE
    return Comparison(name, candidate, baseline, estimate, low, high, verdict)


def decide_canary(
    policy: RolloutPolicy,
    *,
    step: int,
    success: Mapping[str, ArmStats],
    step_sessions: int,
    hours: float,
) -> Decision:
    """The next action of a canary.

    `success` holds the pooled per-session statistics of the arms `candidate` and `baseline`;
    `step_sessions` the smaller arm's sessions since the step began; `hours` the canary's age.
    """
    compared = compare(
        "success",
        success.get("candidate", ArmStats()),
        success.get("baseline", ArmStats()),
        policy,
    )
    action, why = _canary_action(policy, compared, step, step_sessions)
    if action is Action.PROMOTE and not policy.auto_promote:
        action, why = Action.HOLD, f"ready, waiting for approval: {why}"
    elif action is Action.HOLD and hours >= policy.max_hours:
        action, why = Action.ABORT, f"no verdict after {policy.max_hours:g} h"
    return Decision(action, compared.verdict, (compared,), why)


def _canary_action(
    policy: RolloutPolicy, compared: Comparison, step: int, step_sessions: int
) -> tuple[Action, str]:
    n = min(compared.candidate.n, compared.baseline.n)
    if compared.verdict is Verdict.INSUFFICIENT_DATA:
        return Action.HOLD, f"{n} of {policy.verdict_min} sessions an arm"
    if compared.verdict is Verdict.FAIL:
        return Action.ROLL_BACK, f"success is lower by {-compared.estimate:.3f}: harm"
    if step_sessions < policy.step_min:
        return Action.HOLD, f"{step_sessions} of {policy.step_min} sessions in this step"
    if step + 1 < len(policy.steps):
        return Action.ADVANCE, f"no harm in {n} sessions an arm"
    return _promotion(policy, compared, n)


def _promotion(policy: RolloutPolicy, compared: Comparison, n: int) -> tuple[Action, str]:
    if n < policy.promote_min:
        return Action.HOLD, f"{n} of {policy.promote_min} sessions an arm"
    if compared.verdict is not Verdict.PASS:
        return Action.HOLD, "the interval still contains zero"
    needed = policy.min_improvement * compared.baseline.mean
    if compared.estimate < needed:
        return Action.HOLD, f"better by {compared.estimate:.3f}, {needed:.3f} needed"
    return Action.PROMOTE, f"success is higher by {compared.estimate:.3f}"


def decide_shadow(policy: RolloutPolicy, *, mirrored: int, valid: int, hours: float) -> Decision:
    """Whether the shadow ends. It may veto (too many invalid answers), never support."""
    if mirrored >= policy.shadow_min:
        _, high = wilson(valid, mirrored)
        if high < policy.shadow_min_valid:
            why = f"only {valid} of {mirrored} shadow answers are valid"
            return Decision(Action.ABORT, Verdict.FAIL, (), why)
        why = f"{valid} of {mirrored} shadow answers are valid"
        return Decision(Action.ADVANCE, Verdict.PASS, (), why)
    if hours >= policy.max_hours:
        why = f"only {mirrored} mirrored answers after {policy.max_hours:g} h"
        return Decision(Action.ABORT, Verdict.INSUFFICIENT_DATA, (), why)
    why = f"{mirrored} of {policy.shadow_min} mirrored answers"
    return Decision(Action.HOLD, Verdict.INSUFFICIENT_DATA, (), why)


def weights_of(policy: RolloutPolicy, step: int) -> dict[str, float]:
    """Shares of sessions in a canary step: the baseline is as large as the candidate."""
    share = policy.steps[step]
    return {"candidate": share, "baseline": share, "stable": round(1 - 2 * share, 9)}
