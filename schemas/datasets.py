"""Datasets: the recipe of a seal, a sealed example, and the manifest that names it all."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
    """Quality, 0–100, below which a candidate is left out, unless a person has accepted or mended it."""
    min_confidence: Share = 0.6
    """Confidence, 0–1 as events state it, below which a candidate goes to review."""
    require_tools: bool = True
    """Only examples whose tool definitions are known (tool-call training needs them)."""
    near_duplicate: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Jaccard similarity of word 3-grams from which two prompts count as one."""
    domain_model: str | None = None
    """Digest of the model (`lorikeet domains train`) that names the domain where an event does not."""
    min_score: Annotated[float, Field(ge=0, le=100)] = 50.0
    """Composite score (quality 60 %, confidence 20, diversity 10, informativeness 10) for acceptance."""
    max_outlier_score: Share = 0.65
    """Isolation Forest anomaly score above which an example goes to review (0.5 is unremarkable)."""
    max_own_share: Share = 0.5
    """Largest share of examples that a Lorikeet-trained adapter wrote itself."""
    max_generation: Annotated[int, Field(ge=1)] = 3
    """How many generations of own output an adapter may stand on whose answers are learned."""
    caps: tuple[Cap, ...] = ()
    """Further limits, in the order in which they are applied."""
    balance: Share = 0.5
    """A cell (domain × difficulty) of n examples weighs as n to this power; 1 leaves it as it is."""
    min_margin: Share = 0.2
    """How much better the better answer of a preference pair has to be, of 1."""
    max_pairs: Annotated[int, Field(ge=0)] = 4
    """Most preference pairs of one prompt."""
    min_examples: Annotated[int, Field(ge=1)] = 100
    """With fewer examples, nothing is sealed."""
    max_examples: Annotated[int, Field(ge=1)] = 100_000
    """Most examples of a dataset."""
    golden_size: Annotated[int, Field(ge=0)] = 100
    """How many corrections and trusted runs to freeze as the first golden set of a model that has none."""
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


DOUBTS = frozenset(
    {"ingest_review", "low_confidence", "low_score", "outlier", "unverified_quality"}
)
"""Reasons that leave a candidate to a person (REVIEW); any other rejects it."""


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
    `level` is the difficulty (see `processors.curation.difficulty`). `score` is the composite, 0–100, of
    quality, confidence, diversity and informativeness, each 0–100 (confidence 0–1 in the event), None
    where not known. `cluster` is the row of its near-duplicate cluster's first member.
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
    level: str | None
    kind: str
    source: str | None
    origin: str | None
    trust: str | None
    adapter_digest: str | None
    score: float | None
    quality: float | None
    confidence: float | None
    diversity: float | None
    informativeness: float | None
    cluster: str

    def content(self) -> dict[str, Any]:
        """What the dataset's digest covers: everything, floats rounded to 1e-6."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in found.items()}
        return rounded | {
            "split": str(self.split),
            "messages": list(self.messages),
            "tools": list(self.tools),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A preference pair: one prompt, a better and a worse answer.

    `messages` is what was asked, `chosen` and `rejected` the turns of the two answers; `margin` is how
    much better the one is, 0–1. A person's edit is chosen over the answer it mended: then both rows are
    one, and `label_row` names the edit.
    """

    chosen_row: str
    rejected_row: str
    label_row: str | None
    split: Split
    margin: float
    messages: tuple[dict[str, Any], ...]
    chosen: tuple[dict[str, Any], ...]
    rejected: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]

    def content(self) -> dict[str, Any]:
        """What the dataset's digest covers: everything."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        lists = {name: list(found[name]) for name in ("messages", "chosen", "rejected", "tools")}
        return found | lists | {"split": str(self.split), "margin": round(self.margin, 6)}


class ShardKind(StrEnum):
    """What a shard holds."""

    EXAMPLES = "examples"
    PAIRS = "pairs"


class Shard(BaseModel):
    """One Parquet file of a dataset. Datasets that hold the same shard share the file.

    Its object is `shards/<file>.parquet`; in a fetched folder it is called `name`. A shard of examples holds
    what their events say; what was decided of them (split, weight, scores) is the dataset's own, in
    `index.parquet`, line by line in the same order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    kind: ShardKind
    split: Split | None
    """Of a shard of pairs."""
    rows: int
    content: str
    """Digest over the digests of what it holds, whatever library wrote it."""
    file: str
    """SHA-256 of the file."""


class Manifest(BaseModel):
    """Written last; a reader trusts only what it names. `digest` is the dataset's identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: int = 2
    digest: str
    version: str
    """major (the recipe changed) . minor (another window) . patch (the same window, after an erasure)"""
    tenant: str
    model: str
    recipe: Recipe
    offsets: dict[str, int]
    """Next offset of each `cluster:topic:partition` at the moment the window was frozen."""
    counts: dict[str, int]
    """Examples by split."""
    pairs: dict[str, int]
    """Preference pairs by split."""
    dropped: dict[str, int]
    """Candidates left out, by reason."""
    statistics: dict[str, Any]
    """What the data card shows: sizes, scores, cells, sources, findings, split; see `statistics.py`."""
    golden: str | None
    """Digest of the golden set that was kept out of it."""
    erased: str
    """Digest of the erasures that were applied."""
    generation: int = 0
    """How many generations of own output its examples stand on; 0: people and base models alone."""
    shards: tuple[Shard, ...]
    """In canonical order: the lines of `index.parquet` are theirs, one after the other."""
    files: dict[str, str] = {}
    """SHA-256 of the dataset's own files, by name."""
    libraries: dict[str, str]
    """Versions under which the files are byte-identical."""
    parent: str | None = None
    """Digest of the dataset of this model that was sealed before."""


class GoldenCase(BaseModel):
    """A frozen case: what to ask, what a right answer is, and who says so. Never in training."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    case_id: str
    """The row it came from, or `case:` and a digest of what it asks and expects."""
    task: str
    prompt_digest: str
    session: str | None = None
    user: str | None = None
    source: str | None = None
    """The CloudEvents source of its row."""
    label_row: str | None = None
    """The feedback whose edit is what it expects; `label_source` and `label_user` say whose that is."""
    label_source: str | None = None
    label_user: str | None = None
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = []
    expected: dict[str, Any]
    """The right answer, a canonical assistant turn."""
    grader: str = "tool_call"
    pattern: str | None = None
