"""Each process's metrics page, as `promtool check metrics` judges it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from schemas.telemetry import Metric
from service.metrics import PrometheusMeter
from serving.reference.metrics import GatewayMetrics
from tests.docker.promql import exported

Tool = Callable[[str], str]


def full_page(process: str) -> CollectorRegistry:
    """A process in which everything happened that the table knows."""
    meter = PrometheusMeter(process)
    for metric in Metric:
        labels = dict.fromkeys(metric.spec.labels, process)
        if metric.spec.kind == "counter":
            meter.count(metric, 1.0, **labels)
        elif metric.spec.kind == "gauge":
            meter.set(metric, 1.0, **labels)
        else:
            meter.observe(metric, 1.0, **labels)
    return meter.registry


def gateway_page() -> CollectorRegistry:
    metrics = GatewayMetrics()
    metrics.served("stable", 0.1)
    metrics.adapters(1)
    return metrics.registry


@pytest.mark.parametrize("process", ["ingest", "control", "api", "worker", "gateway"])
def test_promtool_has_nothing_to_say(process: str, need_tool: Tool) -> None:
    registry = gateway_page() if process == "gateway" else full_page(process)
    page = generate_latest(registry)
    done = subprocess.run(
        [need_tool("promtool"), "check", "metrics"], input=page, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_page_has_every_series_of_the_table() -> None:
    page = generate_latest(full_page("api")).decode()
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if line[0] != "#"}
    assert names >= exported().keys()
