"""The dashboard: every metric of the table is on it, once made and never drawn twice in one place."""

from __future__ import annotations

import itertools
import re

from tests.docker.files import Tree, dashboard, load_yaml, panels, rules
from tests.docker.promql import exported, known_labels, labels, metrics

DATASOURCE = load_yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]


def queries() -> list[tuple[str, str]]:
    """(expression, legend) of every query."""
    found = [(t["expr"], t["legendFormat"]) for panel in panels() for t in panel["targets"]]
    marks = dashboard()["annotations"]["list"]
    return found + [(mark["expr"], mark["titleFormat"] + mark["textFormat"]) for mark in marks]


def test_every_metric_and_label_exists() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expression, legend in queries():
        named = metrics(expression)
        assert named <= exported().keys() | recorded, expression
        spoken = labels(expression) | set(re.findall(r"\{\{(\w+)\}\}", legend))
        assert spoken <= known_labels(named), expression


def test_every_metric_of_the_table_is_shown() -> None:
    shown = set().union(*(metrics(expression) for expression, _ in queries()))
    behind = {rule["record"]: metrics(rule["expr"]) for rule in rules() if "record" in rule}
    while more := {name for rule in shown & behind.keys() for name in behind[rule]} - shown:
        shown |= more
    table = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported()}
    missing = table - {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert missing == {"lorikeet_build_info"}


def test_variables_ask_for_labels_that_exist() -> None:
    for variable in dashboard()["templating"]["list"]:
        match = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["definition"])
        assert match is not None
        assert match[2] in exported()[match[1]]


def test_everything_asks_the_provisioned_datasource() -> None:
    wanted = {"type": "prometheus", "uid": DATASOURCE["uid"]}
    parts = [*panels(), *dashboard()["annotations"]["list"], *dashboard()["templating"]["list"]]
    parts += [target for panel in panels() for target in panel["targets"]]
    assert all(part["datasource"] == wanted for part in parts)


def test_the_datasource_knows_the_scrape_interval() -> None:
    scraped = load_yaml("prometheus/prometheus.yml")["global"]["scrape_interval"]
    assert DATASOURCE["jsonData"]["timeInterval"] == scraped


def test_panels_have_names_units_and_places_of_their_own() -> None:
    found = dashboard()["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["type"] == "state-timeline" or panel["fieldConfig"]["defaults"]["unit"]
    for one, other in itertools.combinations(found, 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def _overlap(one: Tree, other: Tree) -> bool:
    apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (apart or above)
