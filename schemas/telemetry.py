"""Every metric Lorikeet exports, in one typed table, and the port through which it is reported.

Names follow Prometheus' conventions: base units, `_total` for counters, one quantity per metric.
`service` binds the table to prometheus-client; rooms below know only the `Meter` port.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_WAIT = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 600.0)
_SLOW = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0)
_SIZES = (1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0)


@dataclass(frozen=True, slots=True)
class Spec:
    """One metric. `needs` names what must be there before it can have a sample."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    needs: Literal["gpu"] | None = None


class Metric(Enum):
    """The table."""

    BUILD = Spec(
        "lorikeet_build_info", "gauge", "Version of Lorikeet by process.", ("process", "version")
    )

    EVENTS = Spec(
        "lorikeet_events_total",
        "counter",
        "Records read, by event type and disposition.",
        ("type", "disposition"),
    )
    NOT_REDACTED = Spec(
        "lorikeet_redaction_incomplete_total",
        "counter",
        "Rows in whose redacted text something was left, by kind: they are kept without text.",
        ("kind",),
    )
    DEAD_LETTERS = Spec(
        "lorikeet_dead_letters_total",
        "counter",
        "Records that could not be read, by error code and by the stage that refused them.",
        ("code", "stage"),
    )
    DEAD_LETTER_SHARE = Spec(
        "lorikeet_ingest_dead_letter_ratio",
        "gauge",
        "Dead letters among the last records, unknown types left out.",
    )
    INGEST_COMMIT = Spec(
        "lorikeet_ingest_commit_seconds",
        "histogram",
        "Time of one durable ledger commit.",
        buckets=_FAST,
    )
    INGEST_BATCH = Spec(
        "lorikeet_ingest_batch_rows", "histogram", "Rows of one ledger commit.", buckets=_SIZES
    )
    INGEST_LAG = Spec(
        "lorikeet_ingest_lag_records",
        "gauge",
        "Records in the log that are not in the ledger yet.",
        ("topic",),
    )
    COMMIT_FAILURES = Spec(
        "lorikeet_ingest_commit_failures_total",
        "counter",
        "Flushes that have to be tried again.",
        ("code",),
    )
    EVENT_TO_DURABLE = Spec(
        "lorikeet_ingest_event_to_durable_seconds",
        "histogram",
        "From Kafka's timestamp of a commit's oldest record to the commit's return.",
        buckets=_WAIT,
    )
    INGEST_LAG_SECONDS = Spec(
        "lorikeet_ingest_lag_seconds",
        "gauge",
        "Age of the oldest record that is known not to be in the ledger, by Kafka's timestamp.",
        ("topic",),
    )
    BUFFER_BYTES = Spec(
        "lorikeet_ingest_buffer_bytes", "gauge", "Events decided and not committed."
    )
    PAUSED_PARTITIONS = Spec(
        "lorikeet_ingest_paused_partitions",
        "gauge",
        "Partitions that wait because commits are slower than reading.",
    )
    STOPPED_PARTITIONS = Spec(
        "lorikeet_ingest_stopped_partitions",
        "gauge",
        "Partitions that wait for a person: their stored offset lies outside the log.",
    )
    LAST_RECORD = Spec(
        "lorikeet_ingest_last_record_timestamp_seconds",
        "gauge",
        "Kafka's timestamp of the last record decided.",
    )
    INGEST_LAST = Spec(
        "lorikeet_ingest_last_commit_timestamp_seconds",
        "gauge",
        "When the last ledger commit returned.",
    )
    INGEST_PARTITIONS = Spec(
        "lorikeet_ingest_assigned_partitions", "gauge", "Partitions this process reads."
    )
    REBALANCES = Spec("lorikeet_ingest_rebalances_total", "counter", "Assignments received.")

    LEDGER_FILES = Spec("lorikeet_ledger_files", "gauge", "Data files of the ledger.")
    LEDGER_BYTES = Spec("lorikeet_ledger_bytes", "gauge", "Size of the ledger's data files.")
    LEDGER_MAINTENANCE = Spec(
        "lorikeet_ledger_maintenance_seconds",
        "histogram",
        "Time of one step of the ledger's maintenance.",
        ("step",),
        buckets=_SLOW,
    )
    LEDGER_MAINTAINED = Spec(
        "lorikeet_ledger_last_maintenance_timestamp_seconds",
        "gauge",
        "When the ledger was last maintained.",
    )

    WAKEUPS = Spec(
        "lorikeet_wakeups_total", "counter", "Events that woke an operation.", ("topic",)
    )
    OPERATIONS = Spec(
        "lorikeet_operations_total",
        "counter",
        "Operations performed.",
        ("operation", "result"),
    )
    OPERATION_TIME = Spec(
        "lorikeet_operation_seconds",
        "histogram",
        "Time of one operation.",
        ("operation",),
        buckets=_SLOW,
    )
    FAILURE_RATIO = Spec(
        "lorikeet_window_failure_ratio",
        "gauge",
        "Failed executions in the recent window.",
        ("tenant", "model"),
    )
    NEW_EXAMPLES = Spec(
        "lorikeet_new_examples",
        "gauge",
        "Accepted examples since the last training job.",
        ("tenant", "model"),
    )
    ARM_SESSIONS = Spec(
        "lorikeet_rollout_sessions",
        "gauge",
        "Sessions counted in the running roll-out.",
        ("tenant", "model", "arm"),
    )
    ROLLOUTS = Spec(
        "lorikeet_rollout_transitions_total",
        "counter",
        "Roll-out transitions.",
        ("tenant", "model", "state"),
    )
    OUTBOX_PENDING = Spec("lorikeet_outbox_pending", "gauge", "Events not published yet.")
    OUTBOX_AGE = Spec(
        "lorikeet_outbox_oldest_seconds", "gauge", "Age of the oldest event not published yet."
    )
    OUTBOX_PUBLISHED = Spec(
        "lorikeet_outbox_published_total", "counter", "Lifecycle events published.", ("type",)
    )
    RESTORE = Spec(
        "lorikeet_restore_seconds",
        "gauge",
        "Time from harm detected to every gateway back on the stable version, last rollback.",
        ("tenant", "model"),
    )
    GATEWAYS_READY = Spec(
        "lorikeet_gateways_converged",
        "gauge",
        "Gateway replicas that serve what was decided.",
        ("tenant", "model"),
    )

    JOBS = Spec(
        "lorikeet_job_transitions_total", "counter", "Training job transitions.", ("state",)
    )
    JOB_PHASE = Spec(
        "lorikeet_job_phase_seconds",
        "histogram",
        "Time of one phase of a training job.",
        ("phase",),
        buckets=_SLOW,
    )
    TRAINING_LOSS = Spec("lorikeet_training_loss", "gauge", "Loss of the last training step.")
    TRAINING_STEP = Spec("lorikeet_training_step", "gauge", "Last training step reported.")
    TRAINING_TOKENS = Spec(
        "lorikeet_training_tokens_per_second", "gauge", "Training throughput, last step."
    )
    GPU_MEMORY = Spec(
        "lorikeet_training_gpu_memory_bytes", "gauge", "Peak GPU memory in training.", needs="gpu"
    )
    DATASET_EXAMPLES = Spec(
        "lorikeet_dataset_examples", "gauge", "Examples of the last sealed dataset.", ("split",)
    )
    VALIDATIONS = Spec(
        "lorikeet_validations_total", "counter", "Validations by result.", ("recommendation",)
    )

    API_REQUESTS = Spec(
        "lorikeet_api_requests_total", "counter", "HTTP requests.", ("route", "status")
    )
    API_TIME = Spec(
        "lorikeet_api_request_seconds", "histogram", "Time of one HTTP request.", buckets=_FAST
    )

    GATEWAY_REQUESTS = Spec(
        "lorikeet_gateway_requests_total", "counter", "Completions served.", ("arm",)
    )
    GATEWAY_TIME = Spec(
        "lorikeet_gateway_request_seconds", "histogram", "Time of one completion.", buckets=_FAST
    )
    GATEWAY_ADAPTERS = Spec("lorikeet_gateway_adapters", "gauge", "Adapters loaded.")

    @property
    def spec(self) -> Spec:
        """The row of the table."""
        return self.value


class Meter(Protocol):
    """Where metrics are reported. Labels are given by name and must be the table's."""

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""


class NoMeter:
    """Reports to nobody: for one-off commands."""

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Do nothing."""

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Do nothing."""

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Do nothing."""
