"""The files of `docker/`, as these tests read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.processes import ROOT

DOCKER = ROOT / "docker"
PROMETHEUS = DOCKER / "prometheus"
Tree = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """Compose's own tag: `!reset` takes away what the other file said."""


_Loader.add_constructor("!reset", lambda _loader, _node: None)


def load_yaml(name: str) -> Tree:
    """A YAML file below `docker/`."""
    tree = yaml.load((DOCKER / name).read_text(), _Loader)
    assert isinstance(tree, dict)
    return tree


def services(name: str = "compose.yaml") -> dict[str, Tree]:
    """The services of a compose file."""
    found: dict[str, Tree] = load_yaml(name)["services"]
    return found


def dashboard() -> Tree:
    """The dashboard."""
    board: Tree = json.loads((DOCKER / "grafana" / "dashboards" / "lorikeet.json").read_text())
    return board


def panels() -> Iterator[Tree]:
    """What is on the dashboard, headings left out."""
    return (panel for panel in dashboard()["panels"] if panel["type"] != "row")


def rules() -> Iterator[Tree]:
    """Recording rules and alerts."""
    for group in load_yaml("prometheus/rules.yml")["groups"]:
        yield from group["rules"]


def scrape_targets() -> dict[str, str]:
    """Address by process, of all targets files."""
    return {
        group["labels"]["process"]: address
        for path in (PROMETHEUS / "targets").glob("*.json")
        for group in json.loads(path.read_text())
        for address in group["targets"]
    }
