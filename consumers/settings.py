"""How the consumers are set."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DeadLetterSettings(_Part):
    """When dead letters are too many."""

    limit: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of dead letters among the last records above which the alert fires."""
    window: Annotated[int, Field(ge=100)] = 1_000
    """How many of the last records count, at least: a fetch counts whole."""
    stop: bool = False
    """End ingest with exit code 3 above the limit, before the topic is eaten."""


class IngestSettings(_Part):
    """How ingest reads and when it commits."""

    workers: Annotated[int, Field(ge=1)] = 1
    """Processes on this machine that share the work; each shows its metrics one port further."""
    group: str = "lorikeet-ingest"
    """Kafka consumer group; `kafka.prefix` comes before it."""
    member_id: str | None = None
    """Static member: keeps its partitions over a restart within the session timeout."""
    flush_rows: Annotated[int, Field(ge=1)] = 5_000
    """Rows after which a commit is due."""
    flush_bytes: Annotated[int, Field(ge=1)] = 32 * 1024 * 1024
    """Bytes of events after which a commit is due; twice as much is held at most, and one fetch."""
    flush_seconds: Seconds = 1.0
    """Age of the oldest uncommitted row after which a commit is due."""
    poll_records: Annotated[int, Field(ge=1)] = 500
    """Records taken from Kafka at a time."""
    session_timeout_ms: Annotated[int, Field(ge=1_000)] = 10_000
    """Silence after which the group gives a member's partitions away."""
    heartbeat_ms: Annotated[int, Field(ge=100)] = 1_000
    """Heartbeat interval; also how soon a rebalance is noticed."""
    revoke_seconds: Seconds = 5.0
    """Time for a last commit when partitions are taken away, and at the end; then it is dropped."""
    dead_letters: DeadLetterSettings = DeadLetterSettings()


class ControlSettings(_Part):
    """How often the control worker looks, beside being woken by events."""

    consider_seconds: Seconds = 5.0
    """Counting the ledger and comparing windows with thresholds."""
    rollout_seconds: Seconds = 5.0
    """A roll-out's tick, and bringing gateways to the desired state."""
    relay_seconds: Seconds = 1.0
    """Publishing the outbox."""
    maintain_seconds: Seconds = 30.0
    """The ledger's maintenance: checkpoints, compaction, retention, vacuum."""
