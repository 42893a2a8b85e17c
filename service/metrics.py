"""The metric table bound to prometheus-client: one registry and one page a process."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)

from schemas.errors import Code, Unrecoverable
from schemas.telemetry import Metric

disable_created_metrics()  # type: ignore[no-untyped-call]


class PrometheusMeter:
    """See `Meter`. Metrics appear on the page when they are first reported."""

    def __init__(self, process: str) -> None:
        """`process` names this process in `lorikeet_build_info`."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._known: dict[Metric, Counter | Gauge | Histogram] = {}
        self.set(Metric.BUILD, 1, process=process, version=version("lorikeet"))

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        found = self._metric(metric)
        assert isinstance(found, Counter)  # noqa: S101 - the table says so
        (found.labels(**labels) if labels else found).inc(amount)

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge."""
        found = self._metric(metric)
        assert isinstance(found, Gauge)  # noqa: S101 - the table says so
        (found.labels(**labels) if labels else found).set(value)

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        """Add an observation to a histogram."""
        found = self._metric(metric)
        assert isinstance(found, Histogram)  # noqa: S101 - the table says so
        (found.labels(**labels) if labels else found).observe(value)

    def serve(self, host: str, port: int) -> None:
        """Show the page. Raises Unrecoverable(PORT_IN_USE)."""
        try:
            start_http_server(port, addr=host, registry=self.registry)
        except OSError as error:
            raise Unrecoverable(Code.PORT_IN_USE, f"{host}:{port} (metrics)") from error

    def _metric(self, metric: Metric) -> Counter | Gauge | Histogram:
        found = self._known.get(metric)
        if found is None:
            found = self._known[metric] = self._make(metric)
        return found

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        spec = metric.spec
        if spec.kind == "counter":
            return Counter(spec.name, spec.help, spec.labels, registry=self.registry)
        if spec.kind == "gauge":
            return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)
        return Histogram(
            spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=self.registry
        )
