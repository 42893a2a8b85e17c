"""When to train: performance drift (failures above their band) and enough new examples."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from schemas.verdicts import Verdict


class Thresholds(BaseModel):
    """What starts a training job of a model. Counts are since the last job's offsets."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    new_examples: Annotated[int, Field(ge=1)] = 1_000
    """Accepted examples (runs and corrections) that start a job by themselves."""
    min_new_examples: Annotated[int, Field(ge=1)] = 200
    """Below this no trigger starts a job."""
    failure_rate: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of failed executions in the recent window that counts as drift."""
    failure_window_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    failure_min_executions: Annotated[int, Field(ge=1)] = 200
    cooldown_seconds: Annotated[float, Field(ge=0)] = 3_600.0
    """Rest between the end of one job and the next automatic one."""


class Window(BaseModel):
    """What the counters say about a model."""

    model_config = ConfigDict(frozen=True)

    new_examples: int
    new_corrections: int
    executions: int
    failures: int

    @property
    def failure_rate(self) -> float | None:
        """Share of failed executions in the recent window; None without executions."""
        return self.failures / self.executions if self.executions else None


class Trigger(BaseModel):
    """Why a job starts."""

    model_config = ConfigDict(frozen=True)

    name: str
    detail: str


def failure_verdict(window: Window, limits: Thresholds, low: float) -> Verdict:
    """Fail where even the lower bound `low` of the failure rate is above the limit."""
    if window.executions < limits.failure_min_executions:
        return Verdict.INSUFFICIENT_DATA
    return Verdict.FAIL if low > limits.failure_rate else Verdict.PASS


def training_trigger(window: Window, limits: Thresholds, *, failure_low: float) -> Trigger | None:
    """The reason to train now, or None.

    `failure_low` is the lower end of the failure rate's 95 % interval, so that a handful of failures
    is not taken for drift.
    """
    if window.new_examples < limits.min_new_examples:
        return None
    if failure_verdict(window, limits, failure_low) is Verdict.FAIL:
        detail = (
            f"failure rate {window.failure_rate:.2f} over {window.executions} executions, "
            f"limit {limits.failure_rate:.2f}; {window.new_examples} new examples"
        )
        return Trigger(name="failure_rate", detail=detail)
    if window.new_examples >= limits.new_examples:
        return Trigger(name="new_examples", detail=f"{window.new_examples} new examples")
    return None
