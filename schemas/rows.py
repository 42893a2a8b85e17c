"""A ledger row: what is kept of one Kafka record, and why."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from schemas.records import partition_key


class Disposition(StrEnum):
    """What ingest decided about a record. received = the sum of all five."""

    ACCEPTED = "accepted"
    REVIEW = "review"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    DEAD_LETTER = "dead_letter"


class Row(NamedTuple):
    """One record, decided. A field that does not apply is None; text is redacted JSON.

    `incarnation` counts the topics that were made anew under one name (see `partition_key`).
    `timestamp` is Kafka's in milliseconds UTC. `session`, `user` and `author` are keyed HMACs. `value`
    is a reward in −1…1 for thumbs and 0…1 for scores. `steps`, `tool_errors`, `replans` and `tokens` (four
    characters each) are what `processors.curation.difficulty` counts. `synthetic` to `correctness` are 0…1,
    as the event states them; `gates` is JSON, {name: whether it passed}. `pii` says what redaction found, as
    JSON: {kind: {keyed HMAC of a value: times}}, the n-th value of a kind being `<KIND_n>` in `content`. A
    tuple, since millions of them are held and turned into columns: the garbage collector need not look into
    them.
    """

    cluster: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    size: int
    digest: str
    disposition: Disposition
    reasons: tuple[str, ...] = ()
    error_code: str | None = None
    incarnation: int = 0

    type: str | None = None
    tenant: str | None = None
    source: str | None = None
    id: str | None = None
    event_time: datetime | None = None
    time_source: str | None = None

    agent: str | None = None
    model: str | None = None
    base_digest: str | None = None
    adapter_digest: str | None = None
    arm: str | None = None
    rollout_id: str | None = None
    session: str | None = None
    user: str | None = None
    run_id: str | None = None
    plan_id: str | None = None
    task: str | None = None
    task_type: str | None = None
    domain: str | None = None
    origin: str | None = None
    trust: str | None = None
    difficulty: float | None = None
    steps: float | None = None
    tool_errors: float | None = None
    replans: float | None = None
    tokens: float | None = None
    synthetic: float | None = None
    grounding: float | None = None
    contradiction: float | None = None
    specificity: float | None = None
    correctness: float | None = None

    status: str | None = None
    success: bool | None = None
    valid: bool | None = None
    quality: float | None = None
    quality_parts: str | None = None
    gates: str | None = None
    confidence: float | None = None
    duration_ms: float | None = None
    cost_usd: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    tools_digest: str | None = None
    prompt_digest: str | None = None
    content: str | None = None
    pii: str | None = None

    target_run: str | None = None
    target_source: str | None = None
    author: str | None = None
    author_role: str | None = None
    feedback: str | None = None
    value: float | None = None
    subject: str | None = None

    @property
    def row_id(self) -> str:
        """The row's identity: where the record lies in Kafka."""
        return f"{self.partition_key}:{self.offset}"

    @property
    def partition_key(self) -> str:
        """See `schemas.records.partition_key`."""
        return partition_key(self.cluster, self.topic, self.partition, self.incarnation)
