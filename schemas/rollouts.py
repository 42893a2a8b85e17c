"""Roll-outs: states, arms, the published route, and the policy a decision follows."""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class RolloutState(StrEnum):
    """Where a candidate stands on its way to all traffic."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"

    @property
    def ended(self) -> bool:
        """Whether it no longer takes part in choosing arms."""
        return self in (RolloutState.PROMOTED, RolloutState.ABORTED, RolloutState.ROLLED_BACK)


ROLLOUT_TRANSITIONS: dict[RolloutState, frozenset[RolloutState]] = {
    RolloutState.CANDIDATE: frozenset({RolloutState.SHADOW, RolloutState.ABORTED}),
    RolloutState.SHADOW: frozenset({RolloutState.CANARY, RolloutState.ABORTED}),
    RolloutState.CANARY: frozenset(
        {
            RolloutState.CANARY,
            RolloutState.PROMOTED,
            RolloutState.ABORTED,
            RolloutState.ROLLED_BACK,
        }
    ),
    RolloutState.PROMOTED: frozenset({RolloutState.ROLLED_BACK}),
}
"""Legal transitions; canary → canary is the next step."""


class Stage(StrEnum):
    """A version's stage in the registry."""

    DEVELOPMENT = "DEVELOPMENT"
    STAGING = "STAGING"
    PRODUCTION = "PRODUCTION"
    QUARANTINE = "QUARANTINE"
    ARCHIVED = "ARCHIVED"


_MOST_SHARE = 0.5


class RolloutPolicy(BaseModel):
    """When a candidate may go on, must go back, or is promoted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = "default"
    version: str = "1"
    auto_promote: bool = False
    """Whether the automatic actor may promote; it may always abort."""
    shadow_share: Share = 0.1
    shadow_min: Annotated[int, Field(ge=1)] = 100
    """Mirrored completions before the canary begins."""
    shadow_min_valid: Share = 0.8
    """Share of valid shadow answers below which the candidate is vetoed."""
    steps: tuple[Share, ...] = (0.01, 0.05, 0.10, 0.25, 0.50)
    """The candidate's share of sessions; the baseline arm gets as much."""
    step_min: Annotated[int, Field(ge=1)] = 200
    """Sessions an arm within a step before the next one begins."""
    verdict_min: Annotated[int, Field(ge=2)] = 100
    """Sessions an arm under which nothing is decided."""
    promote_min: Annotated[int, Field(ge=2)] = 1_000
    """Sessions an arm, pooled over the steps, before a promotion."""
    min_improvement: float = 0.02
    """Relative improvement of the success rate that a promotion needs."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Error budget over all looks; half for promotion, half for harm."""
    max_hours: Annotated[float, Field(gt=0)] = 24.0
    """A canary without a verdict ends as aborted after so long."""
    converge_seconds: Annotated[float, Field(gt=0)] = 60.0
    """How long gateways may take to load a candidate before it is aborted."""

    @model_validator(mode="after")
    def _possible(self) -> RolloutPolicy:
        shares = (0.0, *self.steps)
        if not self.steps or any(now <= before for before, now in pairwise(shares)):
            raise ValueError("steps: not one or more growing shares above 0")
        if self.steps[-1] > _MOST_SHARE:
            raise ValueError(f"steps: no room for a baseline arm of the size of {self.steps[-1]:g}")
        if self.verdict_min > self.promote_min:
            raise ValueError("verdict_min is above promote_min")
        return self


class Route(BaseModel):
    """How callers choose an arm: sticky by salted hash of the session, true to the weights.

    `arms` maps each arm to the adapter that serves it (None: the base model) and its digest.
    """

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    model: str
    revision: int
    weights: dict[str, float]
    arms: dict[str, dict[str, str | None]]
    salt: str = ""
    rollout_id: str | None = None
    decision_id: str | None = None
    shadow: dict[str, Any] | None = None
    """`{adapter, adapter_digest, share}` while a candidate is mirrored."""
    valid_from: str | None = None


class ArmStats(BaseModel):
    """Sufficient statistics of one metric in one arm, over sessions."""

    model_config = ConfigDict(frozen=True)

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean over sessions; 0 where there is none."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The population variance over sessions."""
        if not self.n:
            return 0.0
        return max(self.squares / self.n - self.mean**2, 0.0)
