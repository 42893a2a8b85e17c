"""The tables. SQLAlchemy Core, portable between SQLite and PostgreSQL; migrations in `migrations/`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

metadata = MetaData()
_ROWID = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time on every database; SQLite keeps it without a zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive time")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Aware again."""
        del dialect
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


def _key(name: str) -> Column[str]:
    return Column(name, String(255), primary_key=True)


def _name(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, String(255), nullable=null)


def _time(name: str, *, null: bool = False) -> Column[datetime]:
    return Column(name, UtcTime(), nullable=null)


def _json(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=null)


def _int(name: str, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=str(default))


def _float(name: str) -> Column[float]:
    return Column(name, Double, nullable=False, server_default="0")


leases = Table("leases", metadata, _key("name"), _name("owner"), _int("epoch"), _time("expires_at"))

ledger_cursor = Table(
    "ledger_cursor",
    metadata,
    _key("ledger"),
    _int("version", -1),
    _name("table_id", null=True),
)
ledger_offsets = Table("ledger_offsets", metadata, _key("partition_key"), _int("next_offset"))
ingest_stops = Table(
    "ingest_stops",
    metadata,
    _key("partition_key"),
    _int("next_offset"),
    _int("log_start"),
    _int("log_end"),
    _name("reason"),
    _time("since"),
)
ledger_gaps = Table(
    "ledger_gaps",
    metadata,
    _key("cluster"),
    _key("topic"),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("incarnation", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    _int("end"),
    _name("accepted_by"),
    _time("accepted_at", null=True),
    Column("reason", Text, nullable=False),
    _int("version"),
)
disposition_counts = Table(
    "disposition_counts",
    metadata,
    _key("topic"),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    _key("disposition"),
    _int("count"),
)
model_totals = Table(
    "model_totals",
    metadata,
    _key("tenant"),
    _key("model"),
    _int("executions"),
    _int("examples"),
)
tenant_totals = Table("tenant_totals", metadata, _key("tenant"), _int("corrections"))
window_counts = Table(
    "window_counts",
    metadata,
    _key("tenant"),
    _key("model"),
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    _int("executions"),
    _int("failures"),
)
rollout_units = Table(
    "rollout_units",
    metadata,
    _key("rollout_id"),
    _key("tenant"),
    _key("model"),
    _key("unit"),
    _name("arm"),
    _int("runs"),
    _float("successes"),
    _int("valid"),
    _float("duration_ms"),
    Column("mixed", Boolean, nullable=False, server_default=text("false")),
)

jobs = Table(
    "jobs",
    metadata,
    _key("id"),
    _name("tenant"),
    _name("model"),
    _name("state"),
    _name("trigger"),
    Column("detail", Text, nullable=False),
    _json("offsets"),
    _json("recipe"),
    _json("spec"),
    _json("validation"),
    _int("examples_at"),
    _name("requested_by"),
    _name("owner", null=True),
    _int("epoch"),
    _time("expires_at", null=True),
    _name("dataset_digest", null=True),
    _name("version", null=True),
    _name("error_code", null=True),
    Column("error", Text),
    _time("created_at"),
    _time("updated_at"),
)
Index(
    "one_open_job_per_model",
    jobs.c.tenant,
    jobs.c.model,
    unique=True,
    sqlite_where=jobs.c.state.not_in(("COMPLETED", "FAILED", "CANCELLED")),
    postgresql_where=jobs.c.state.not_in(("COMPLETED", "FAILED", "CANCELLED")),
)
job_transitions = Table(
    "job_transitions",
    metadata,
    _key("job_id"),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _name("state"),
    _time("at"),
    Column("reason", Text, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    _key("digest"),
    _name("tenant"),
    _name("model"),
    _name("version"),
    Column("uri", Text, nullable=False),
    _json("counts"),
    Column("generation", Integer, nullable=False),
    _name("parent", null=True),
    _name("job_id", null=True),
    _time("created_at"),
    _name("erased_by", null=True),
    _name("successor", null=True),
)
golden_datasets = Table(
    "golden_datasets",
    metadata,
    _key("tenant"),
    _key("model"),
    _key("digest"),
    Column("uri", Text, nullable=False),
    _int("cases"),
    _time("created_at"),
)

adapters = Table(
    "adapters",
    metadata,
    _key("tenant"),
    _key("model"),
    _key("version"),
    _name("adapter"),
    _name("adapter_digest"),
    Column("adapter_uri", Text, nullable=False),
    Column("base_model", Text, nullable=False),
    _name("base_digest"),
    _int("rank"),
    _float("alpha"),
    _json("target_modules"),
    Column("signature_uri", Text),
    _name("dataset_version"),
    _name("dataset_digest"),
    _name("job_id"),
    _name("stage"),
    _json("validation", null=True),
    _json("probe", null=True),
    _time("created_at"),
    _int("revision"),
)
adapter_history = Table(
    "adapter_history",
    metadata,
    Column("seq", _ROWID, primary_key=True, autoincrement=True),
    _name("tenant"),
    _name("model"),
    _name("version"),
    _name("from_stage", null=True),
    _name("to_stage"),
    _time("at"),
    _name("by"),
    Column("reason", Text, nullable=False),
)
aliases = Table(
    "aliases", metadata, _key("tenant"), _key("model"), _key("alias"), _name("version", null=True)
)

rollouts = Table(
    "rollouts",
    metadata,
    _key("id"),
    _name("tenant"),
    _name("model"),
    _name("version"),
    _name("stable_version", null=True),
    _name("state"),
    _int("step"),
    _json("policy"),
    _name("salt"),
    _json("step_start"),
    _json("evidence", null=True),
    _time("started_at"),
    _time("canary_at", null=True),
    _time("since"),
    _int("revision"),
)
Index(
    "one_running_rollout_per_model",
    rollouts.c.tenant,
    rollouts.c.model,
    unique=True,
    sqlite_where=rollouts.c.state.in_(("candidate", "shadow", "canary")),
    postgresql_where=rollouts.c.state.in_(("candidate", "shadow", "canary")),
)
rollout_history = Table(
    "rollout_history",
    metadata,
    _key("rollout_id"),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    _name("state"),
    _int("step"),
    _time("at"),
    _name("by"),
    Column("reason", Text, nullable=False),
    _json("evidence", null=True),
)
routes = Table(
    "routes",
    metadata,
    _key("tenant"),
    _key("model"),
    _int("revision"),
    _json("route"),
    _name("decision_id"),
    _name("action"),
    _time("decided_at"),
    _time("detected_at", null=True),
    _time("converged_at", null=True),
)
gateway_replicas = Table(
    "gateway_replicas",
    metadata,
    _key("tenant"),
    _key("model"),
    _key("url"),
    _int("revision", -1),
    Column("detail", Text, nullable=False, server_default=""),
    _time("at"),
)

erasures = Table(
    "erasures",
    metadata,
    _key("id"),
    _name("tenant"),
    _name("kind"),
    _json("subject"),
    Column("reason", Text, nullable=False),
    _name("requested_by"),
    _time("requested_at"),
    _name("state"),
    _int("revision"),
    _json("report"),
    _name("certificate", null=True),
    _time("updated_at"),
)
erased_runs = Table("erased_runs", metadata, _key("run"), _key("erasure"))

outbox = Table(
    "outbox",
    metadata,
    Column("seq", _ROWID, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    _name("topic"),
    _name("key"),
    _name("type"),
    _json("payload"),
    _time("created_at"),
    _time("published_at", null=True),
    sqlite_autoincrement=True,
)
relay_positions = Table(
    "relay_positions",
    metadata,
    _key("topic"),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    _int("next_offset"),
)
audit = Table(
    "audit",
    metadata,
    Column("seq", _ROWID, primary_key=True, autoincrement=True),
    _time("at"),
    _name("actor"),
    _name("action"),
    _name("subject"),
    _json("detail", null=True),
)
