"""Datasets: the recipe of a seal, a sealed example, and the manifest that names it all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class Cap(BaseModel):
    """How much of a dataset may come from one source, one class of trust, one origin, one domain."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    by: Literal["source", "trust", "origin", "domain"]
    value: str | None = None
    """Which one; without it each of them."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Largest share of the dataset."""
    count: Annotated[int, Field(ge=0)] | None = None
    """Most examples."""

    @model_validator(mode="after")
    def _limits(self) -> Cap:
        if self.share is None and self.count is None:
            raise ValueError("a cap needs a share or a count")
        return self


class Recipe(BaseModel):
    """How a window of rows becomes a dataset. Everything that can change the outcome is in here."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    window_days: Annotated[float, Field(gt=0)] = 30.0
    """How far back the window reaches from the newest row, by event time."""
    since: AwareDatetime | None = None
    """Where the window begins instead, if a person said so."""
    min_quality: Annotated[float, Field(ge=0, le=100)] = 70.0
    min_confidence: Share = 0.6
    require_tools: bool = True
    """Only examples whose tool definitions are known (tool-call training needs them)."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Jaccard similarity of word 3-grams from which two prompts count as one."""
    max_outlier_score: Share = 0.65
    """Isolation Forest anomaly score above which an example is dropped (0.5 is unremarkable)."""
    max_own_share: Share = 0.5
    """Largest share of examples that a Lorikeet-trained adapter wrote itself."""
    max_generation: Annotated[int, Field(ge=1)] = 3
    """How many generations of own output an adapter may stand on whose answers are learned."""
    caps: tuple[Cap, ...] = ()
    """Further limits, in the order in which they are applied."""
    min_examples: Annotated[int, Field(ge=1)] = 100
    max_examples: Annotated[int, Field(ge=1)] = 100_000
    golden_size: Annotated[int, Field(ge=0)] = 100
    """How many corrections to freeze as the first golden set of a model that has none."""
    validation_share: Share = 0.1
    test_share: Share = 0.1
    seed: int = 0

    @model_validator(mode="after")
    def _trains(self) -> Recipe:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share: nothing is left to train on")
        return self


class Selection(StrEnum):
    """What the seal decided about a candidate."""

    ACCEPT = "ACCEPT"
    REVIEW = "REVIEW"
    REJECT = "REJECT"


class Split(StrEnum):
    """Which part of a dataset an example belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One sealed example: a conversation whose last turn is what the model should write.

    `row_id` names the event it came from, `label_row` the feedback whose edit became the answer.
    `weight` multiplies the loss. `messages` are canonical chat turns; `tools` their definitions.
    """

    row_id: str
    label_row: str | None
    split: Split
    weight: float
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]
    prompt_digest: str
    task: str
    session: str | None
    user: str | None
    domain: str | None
    task_type: str | None
    kind: str
    adapter_digest: str | None
    quality: float

    def content(self) -> dict[str, Any]:
        """What the dataset's digest covers: everything, floats rounded to 1e-6."""
        return {
            "row_id": self.row_id,
            "label_row": self.label_row,
            "split": str(self.split),
            "weight": round(self.weight, 6),
            "messages": list(self.messages),
            "tools": list(self.tools),
            "prompt_digest": self.prompt_digest,
            "task": self.task,
            "session": self.session,
            "user": self.user,
            "domain": self.domain,
            "task_type": self.task_type,
            "kind": self.kind,
            "adapter_digest": self.adapter_digest,
            "quality": round(self.quality, 6),
        }


class Manifest(BaseModel):
    """Written last; a reader trusts only what it names. `digest` is the dataset's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: int = 1
    digest: str
    version: str
    tenant: str
    model: str
    recipe: Recipe
    offsets: dict[str, int]
    """Next offset of each `cluster:topic:partition` at the moment the window was frozen."""
    counts: dict[str, int]
    """Examples by split."""
    dropped: dict[str, int]
    """Candidates left out, by reason."""
    golden: str | None
    """Digest of the golden set that was kept out of it."""
    files: dict[str, str]
    """SHA-256 of each file, by name."""
    libraries: dict[str, str]
    """Versions under which the files are byte-identical."""
    parent: str | None = None


class GoldenCase(BaseModel):
    """A frozen case: what to ask, what a right answer is, and who says so. Never in training."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    case_id: str
    """The row it came from."""
    task: str
    prompt_digest: str
    session: str | None = None
    user: str | None = None
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    expected: dict[str, Any]
    """The right answer, a canonical assistant turn."""
    grader: str = "tool_call"
    pattern: str | None = None
