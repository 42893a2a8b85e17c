"""Prometheus' configuration and rules, held by its own tool."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

from tests.docker.files import PROMETHEUS, load_yaml, rules
from tests.docker.promql import exported, known_labels, labels, metrics

Tool = Callable[[str], str]
ALERTS = sorted(rule["alert"] for rule in rules() if "alert" in rule)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_agrees(arguments: tuple[str, ...], need_tool: Tool) -> None:
    done = subprocess.run(
        [need_tool("promtool"), *arguments],
        cwd=PROMETHEUS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_seen_to_fire_and_to_keep_quiet(alert: str) -> None:
    expected = [
        case["exp_alerts"]
        for test in load_yaml("prometheus/rules_test.yml")["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert
    ]
    assert [] in expected, "a case in which it keeps quiet"
    assert any(expected), "a case in which it fires"


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert rule["annotations"].keys() == {"summary", "action"}


def test_every_metric_and_label_in_a_rule_exists() -> None:
    known = exported()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        named = metrics(rule["expr"])
        assert named <= known.keys() | recorded, rule
        assert labels(rule["expr"]) <= known_labels(named), rule


def test_recorded_names_say_what_is_left() -> None:
    """level:metric:operation, where the level is the labels that the aggregation keeps."""
    for rule in rules():
        if "record" not in rule:
            continue
        level, metric, _ = rule["record"].split(":")
        assert re.fullmatch(r"lorikeet_[a-z_]+", metric)
        kept = re.findall(r"\b(?:max|sum) by \(([^)]*)\)", rule["expr"])
        for found in kept:
            assert set(found.split(", ")) - {"le"} == set(level.split("_")), rule
