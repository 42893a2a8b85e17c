"""Lorikeet's whole path as one measured process; `bare` leaves redaction and labels out.

The one file here that knows ingest from inside. The process is `lorikeet ingest` itself; its meter
also says, a line each, when partitions were assigned and when a commit had returned.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from benchmarks.job import Job
from operations.ingest_batch import IngestBatch
from processors.curation import curate
from processors.curation.redacted_content import Encode
from schemas.telemetry import Metric
from service import processes
from service.metrics import PrometheusMeter
from service.settings import load
from service.wiring import Wiring


class TellingMeter(PrometheusMeter):
    """Prometheus' meter that prints assignments and commits."""

    _assigned = 0

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge; say how many partitions this process has got."""
        super().set(metric, value, **labels)
        if metric is Metric.INGEST_PARTITIONS and value != self._assigned:
            self._assigned = int(value)
            _say(assigned=self._assigned)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add an observation; say that a commit of so many rows has returned."""
        super().observe(metric, value, **labels)
        if metric is Metric.INGEST_BATCH:
            _say(rows=int(value))


def _as_it_is(content: Any, encode: Encode, _tenant: str) -> tuple[Any, str, None]:
    """Nothing is looked for."""
    return content, encode(content).decode(), None


class _NoPseudonyms:
    def hide(self, _tenant: str, _kind: str, value: str | None) -> str | None:
        """People keep their names."""
        return value


class _NoLabels:
    def of_execution(self, _data: Any, _encode: Encode) -> dict[str, Any]:
        """Nothing beyond the outcome."""
        return {}


class BareWiring(Wiring):
    """The production wiring, with a curator that redacts and labels nothing; it scores and decides."""

    def ingest_batch(self, *arguments: Any, **named: Any) -> IngestBatch:
        """Ingest's decisions and commits, personal data left where it is."""
        batch = super().ingest_batch(*arguments, **named)
        curator: Any = batch._curator  # noqa: SLF001 - there is no such option in production
        curator._redacted, curator._pseudonyms = _as_it_is, _NoPseudonyms()  # noqa: SLF001
        curator._labels = _NoLabels()  # noqa: SLF001
        setattr(curate, "_prompt_digest", lambda _content, _encode: None)  # noqa: B010
        return batch


def _say(**what: int) -> None:
    print(json.dumps({"at": time.monotonic(), "cpu": time.process_time(), **what}), flush=True)


def main() -> None:
    """Run ingest until SIGTERM."""
    job = Job.told()
    setattr(processes, "PrometheusMeter", TellingMeter)  # noqa: B010 - the one way in
    if job.variant == "bare":
        setattr(processes, "Wiring", BareWiring)  # noqa: B010
    processes.run_ingest(load(Path(job.folder) / "lorikeet.yaml"), processes.Backfill())


if __name__ == "__main__":
    main()
