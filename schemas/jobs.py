"""Training jobs: states, the job folder's files, and what a trainer reports.

A job folder is the whole interface of the training program:

    job.json            JobSpec
    sealed.json         the dataset's manifest, written after sealing (train)
    dataset/            inputs by kind: manifest.json and its shards; corpus.jsonl; cases.jsonl; expected.json
    attempts/<epoch>/   one attempt under one lease epoch:
                        progress.jsonl, and base/, adapter/ + expected.json, probe.json or
                        outputs.jsonl
    result.json         JobResult, written last, accepted only if it names the lease's epoch
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class JobState(StrEnum):
    """The life of a training job."""

    PENDING = "PENDING"
    INITIALIZING = "INITIALIZING"
    PREPARING_DATA = "PREPARING_DATA"
    TRAINING = "TRAINING"
    VALIDATING = "VALIDATING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


NEXT_STATES: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset({JobState.INITIALIZING}),
    JobState.INITIALIZING: frozenset({JobState.PREPARING_DATA}),
    JobState.PREPARING_DATA: frozenset({JobState.TRAINING}),
    JobState.TRAINING: frozenset({JobState.VALIDATING}),
    JobState.VALIDATING: frozenset({JobState.COMPLETED}),
}
"""Legal transitions; FAILED and CANCELLED can follow any state that has not ended."""


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Targets = Literal["all", "tool_calls"]
"""Which assistant turns carry loss."""


class LoraSettings(_Closed):
    """The shape of the adapter."""

    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


class SftSettings(_Closed):
    """Supervised fine-tuning. Lengths are in tokens, one step is one optimizer step."""

    lora: LoraSettings = LoraSettings()
    learning_rate: Annotated[float, Field(gt=0)] = 2e-4
    batch_size: Annotated[int, Field(ge=1)] = 4
    epochs: Annotated[float, Field(gt=0)] = 3
    max_steps: Annotated[int, Field(ge=1)] | None = None
    warmup_steps: Annotated[int, Field(ge=0)] = 10
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    max_length: Annotated[int, Field(ge=8)] = 2_048
    prompt_loss_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    targets: Targets = "all"
    """Which assistant turns to learn: all of them, or only those that call tools."""


class TinySettings(_Closed):
    """A tiny causal language model made on the spot, for demonstrations and tests."""

    hidden: int = 128
    layers: int = 2
    heads: int = 8
    vocabulary: int = 1_200
    frame_tokens: tuple[str, ...] = ()
    """Strings that are one token each, such as a JSON frame or a placeholder."""
    steps: int = 350
    batch_size: int = 16
    learning_rate: float = 3e-3
    prompt_loss_weight: float = 0.1
    targets: Targets = "all"
    max_positions: int = 512


class JobSpec(_Closed):
    """`job.json`: everything a trainer needs to know. Paths are relative to the job folder."""

    format: Literal[1] = 1
    job_id: str
    kind: Literal["make_base", "train", "probe", "generate"]
    method: Literal["sft"] = "sft"
    tenant: str = "default"
    model: str = ""
    base: str = ""
    """The base model's folder, absolute."""
    base_digest: str = ""
    adapters: dict[str, str] = {}
    """Adapters to load (probe, generate): name → folder."""
    sft: SftSettings = SftSettings()
    tiny: TinySettings = TinySettings()
    max_new_tokens: int = 128
    seed: int = 0


class JobResult(_Closed):
    """`result.json`: written last. `files` are SHA-256 digests relative to the attempt."""

    format: Literal[1] = 1
    job_id: str
    epoch: int
    ok: bool
    files: dict[str, str] = {}
    summary: dict[str, Any] = {}
    error_code: str | None = None
    error: str | None = None
