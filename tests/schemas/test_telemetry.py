"""The metric table follows Prometheus' conventions, and prometheus-client accepts all of it."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.telemetry import Metric

METRICS = pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
UNITS = ("_seconds", "_bytes", "_ratio", "_rows", "_records")
NOT_BASE_UNITS = r"(milli|micro|nano)seconds?|_ms$|_minutes?|_hours?|_days?|_percent|_kb$|_mb$"
RESERVED = ("_count", "_sum", "_bucket", "_created")
UNBOUNDED = {"session", "user", "id", "run", "event", "row", "job", "rollout", "detail", "message"}


def test_names_are_unique() -> None:
    names = [metric.spec.name for metric in Metric]
    assert len(names) == len(set(names)) == len(Metric.__members__)


@METRICS
def test_names_follow_the_conventions(metric: Metric) -> None:
    spec = metric.spec
    assert re.fullmatch(r"lorikeet(_[a-z0-9]+)+", spec.name)
    assert spec.name.endswith("_total") is (spec.kind == "counter")
    assert not spec.name.endswith(RESERVED)
    assert not re.search(NOT_BASE_UNITS, spec.name)
    assert len(spec.help) > 10
    assert spec.help.endswith(".")


@METRICS
def test_labels_are_few_named_and_bounded(metric: Metric) -> None:
    labels = metric.spec.labels
    assert len(labels) == len(set(labels)) <= 3
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in labels)
    assert not {"le", "quantile", "job", "instance", *UNBOUNDED} & set(labels)


@METRICS
def test_histograms_have_rising_buckets_and_a_unit(metric: Metric) -> None:
    spec = metric.spec
    assert bool(spec.buckets) is (spec.kind == "histogram")
    assert list(spec.buckets) == sorted(set(spec.buckets))
    if spec.kind == "histogram":
        assert spec.name.endswith(UNITS)


def test_prometheus_accepts_the_whole_table() -> None:
    registry = CollectorRegistry()
    for metric in Metric:
        spec = metric.spec
        if spec.kind == "histogram":
            Histogram(spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=registry)
        else:
            {"counter": Counter, "gauge": Gauge}[spec.kind](
                spec.name, spec.help, spec.labels, registry=registry
            )
    exposed = {family.name for family in registry.collect()}
    assert exposed == {metric.spec.name.removesuffix("_total") for metric in Metric}
