"""What a PromQL expression names, well enough for our own: metrics, and the labels it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable

from schemas.telemetry import Metric

TARGET_LABELS = frozenset({"job", "instance", "process"})
_STRING = re.compile(r'"[^"]*"')
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
_MATCHERS = re.compile(r"\{([^}]*)\}")
_PARTS = ("_bucket", "_sum", "_count")


def exported() -> dict[str, frozenset[str]]:
    """Every series name of the typed table, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in Metric:
        spec = metric.spec
        labels = frozenset(spec.labels)
        if spec.kind == "histogram":
            found |= {f"{spec.name}{part}": labels for part in _PARTS}
            found[f"{spec.name}_bucket"] = labels | {"le"}
        else:
            found[spec.name] = labels
    return found


def metrics(expression: str) -> set[str]:
    """Our metrics in an expression: those of the table and those of recording rules."""
    bare = _MATCHERS.sub("", _STRING.sub("", expression))
    return {name for name in _NAME.findall(bare) if name.startswith("lorikeet_") or ":" in name}


def labels(expression: str) -> set[str]:
    """Labels that an expression groups by or matches."""
    lists = _GROUPING.findall(expression)
    lists += [re.sub(r'[=!~]+"[^"]*"', "", found) for found in _MATCHERS.findall(expression)]
    return {name for found in lists for name in _NAME.findall(found)}


def known_labels(names: Iterable[str]) -> set[str]:
    """Labels that the series of these names can have; a rule's first part says which are left."""
    table = exported()
    known: set[str] = set(TARGET_LABELS)
    for name in names:
        known |= set(name.split(":")[0].split("_")) if ":" in name else table[name]
    return known
