"""How the consumers are set."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class IngestSettings(_Part):
    """How ingest reads and when it commits."""

    group: str = "lorikeet-ingest"
    """Kafka consumer group."""
    member_id: str | None = None
    """Static member: keeps its partitions over a restart within the session timeout."""
    flush_rows: Annotated[int, Field(ge=1)] = 2_000
    """Rows after which a commit is due."""
    flush_seconds: Seconds = 1.0
    """Age of the oldest uncommitted row after which a commit is due."""
    poll_records: Annotated[int, Field(ge=1)] = 500
    """Records taken from Kafka at a time."""
    session_timeout_ms: Annotated[int, Field(ge=1_000)] = 10_000
    """Silence after which the group gives a member's partitions away."""
    heartbeat_ms: Annotated[int, Field(ge=100)] = 1_000
    """Heartbeat interval; also how soon a rebalance is noticed."""


class ControlSettings(_Part):
    """How often the control worker looks, beside being woken by events."""

    consider_seconds: Seconds = 5.0
    """Counting the ledger and comparing windows with thresholds."""
    rollout_seconds: Seconds = 5.0
    """A roll-out's tick, and bringing gateways to the desired state."""
    relay_seconds: Seconds = 1.0
    """Publishing the outbox."""
    maintain_seconds: Seconds = 60.0
    """The ledger's maintenance: checkpoints, compaction, retention, vacuum."""
