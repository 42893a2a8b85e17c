"""Verdicts are data: five values, the worst wins, and no evidence never means yes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    INCONCLUSIVE = "inconclusive"
    INSUFFICIENT_DATA = "insufficient_data"
    NO_BASELINE = "no_baseline"
    FAIL = "fail"


_ORDER = list(Verdict)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; of none, `insufficient_data`."""
    return max(verdicts, key=_ORDER.index, default=Verdict.INSUFFICIENT_DATA)


class Recommendation(StrEnum):
    """What a validation recommends."""

    DEPLOY = "DEPLOY"
    REVIEW = "REVIEW"
    REJECT = "REJECT"


class Measure(BaseModel):
    """A figure with its interval and how many it rests on; None where it does not apply."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    limit: float | None = None


class StageResult(BaseModel):
    """One stage of a validation."""

    model_config = ConfigDict(frozen=True)

    stage: str
    critical: bool
    verdict: Verdict
    measures: tuple[Measure, ...] = ()
    detail: str = ""


class Validation(BaseModel):
    """All stages of one candidate, and what they recommend."""

    model_config = ConfigDict(frozen=True)

    stages: tuple[StageResult, ...]
    recommendation: Recommendation

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all stages."""
        return worst(stage.verdict for stage in self.stages)


def recommend(stages: Iterable[StageResult]) -> Recommendation:
    """All pass: DEPLOY. A critical stage fails: REJECT. Anything else: REVIEW."""
    results = tuple(stages)
    if any(stage.critical and stage.verdict is Verdict.FAIL for stage in results):
        return Recommendation.REJECT
    if results and all(stage.verdict is Verdict.PASS for stage in results):
        return Recommendation.DEPLOY
    return Recommendation.REVIEW
