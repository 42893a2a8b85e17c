"""Validation stages: from graded answers to verdicts.

Two stages for now: regression (golden cases) and benchmark (paired against the stable version). Both
are critical.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.verdicts import Measure, StageResult, Validation, Verdict, recommend

Share = Annotated[float, Field(ge=0, le=1)]


class ValidationSettings(BaseModel):
    """What a candidate has to show before it may meet traffic."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mode: Literal["enforce", "watch"] = "enforce"
    """`watch` writes the verdict down and goes on: for one job, said by a person."""
    min_cases: Annotated[int, Field(ge=1)] = 100
    min_pass: Share = 0.95
    """Share of golden cases the candidate must get right."""
    max_worse: Share = 0.05
    """How much worse than the stable version it may be."""


def regression(candidate: Sequence[bool], settings: ValidationSettings) -> StageResult:
    """Golden cases: the share that is right, against `min_pass`."""
    n = len(candidate)
    if not n:
        return StageResult(stage="regression", critical=True, verdict=Verdict.NO_BASELINE)
    share = sum(candidate) / n
    measure = Measure(name="pass_rate", value=share, n=n, limit=settings.min_pass)
    if n < settings.min_cases:
        verdict = Verdict.INSUFFICIENT_DATA
    else:
        verdict = Verdict.PASS if share >= settings.min_pass else Verdict.FAIL
    return StageResult(
        stage="regression",
        critical=True,
        verdict=verdict,
        measures=(measure,),
        detail=f"{sum(candidate)} of {n} golden cases are right",
    )


def benchmark(
    candidate: Sequence[bool], stable: Sequence[bool], settings: ValidationSettings
) -> StageResult:
    """The same cases answered by both: the paired difference with its 95 % interval.

    pass: the whole interval is above −`max_worse`; fail: the whole interval is below it.
    """
    n = len(candidate)
    if not n or len(stable) != n:
        return StageResult(stage="benchmark", critical=True, verdict=Verdict.NO_BASELINE)
    differences = [int(a) - int(b) for a, b in zip(candidate, stable, strict=True)]
    mean = sum(differences) / n
    spread = sum((d - mean) ** 2 for d in differences) / max(n - 1, 1)
    half = 1.959964 * math.sqrt((n * spread + 0.25) / (n + 1) / n)
    low, high = mean - half, mean + half
    if n < settings.min_cases:
        verdict = Verdict.INSUFFICIENT_DATA
    elif low >= -settings.max_worse:
        verdict = Verdict.PASS
    else:
        verdict = Verdict.FAIL if high < -settings.max_worse else Verdict.INCONCLUSIVE
    measure = Measure(
        name="accuracy_difference", value=mean, low=low, high=high, n=n, limit=-settings.max_worse
    )
    return StageResult(
        stage="benchmark",
        critical=True,
        verdict=verdict,
        measures=(measure,),
        detail=f"candidate {sum(candidate) / n:.3f}, stable {sum(stable) / n:.3f}",
    )


def validate(
    candidate: Sequence[bool], stable: Sequence[bool], settings: ValidationSettings
) -> Validation:
    """All stages and what they recommend."""
    stages = (
        regression(candidate, settings),
        benchmark(candidate, stable, settings),
    )
    return Validation(stages=stages, recommendation=recommend(stages))
