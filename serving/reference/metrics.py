"""The gateway's metrics, named by the table."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.telemetry import Metric


class GatewayMetrics:
    """Completions served, their time, and the adapters loaded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Metric.BUILD.spec
        Gauge(build.name, build.help, build.labels, registry=self.registry).labels(
            process="gateway", version=version("lorikeet")
        ).set(1)
        requests, seconds, adapters = (
            Metric.GATEWAY_REQUESTS.spec,
            Metric.GATEWAY_TIME.spec,
            Metric.GATEWAY_ADAPTERS.spec,
        )
        self._requests = Counter(
            requests.name, requests.help, requests.labels, registry=self.registry
        )
        self._seconds = Histogram(
            seconds.name, seconds.help, buckets=seconds.buckets, registry=self.registry
        )
        self._adapters = Gauge(adapters.name, adapters.help, registry=self.registry)

    def served(self, arm: str, seconds: float) -> None:
        """One completion was served."""
        self._requests.labels(arm=arm).inc()
        self._seconds.observe(seconds)

    def adapters(self, count: int) -> None:
        """So many adapters are loaded."""
        self._adapters.set(count)
