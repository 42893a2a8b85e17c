"""What has moved between two datasets, from their statistics alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from processors.drift.psi import stability

_SHARES = ("domain", "level", "source")


def shift(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The drift from one dataset's statistics (see `processors.curation.seal.statistics`) to another's.

    `psi`: by number {index, expected}, where both have it in the same bins. `shares`: by column and value
    {before, now}, shares of each dataset's examples, for values of which either has any. Rounded to 1e-6.
    """
    return {
        "psi": _indices(now.get("numbers", {}), before.get("numbers", {})),
        "shares": {
            name: _shares(_values(now, name), _values(before, name))
            for name in _SHARES
            if _values(now, name) and _values(before, name)
        },
    }


def _indices(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    found = {}
    for name in sorted(now.keys() & before.keys()):
        if now[name]["edges"] != before[name]["edges"]:
            continue
        moved = stability(now[name]["counts"], before[name]["counts"])
        if moved is not None:
            found[name] = {key: round(value, 6) for key, value in asdict(moved).items()}
    return found


def _values(statistics: Mapping[str, Any], name: str) -> Mapping[str, int]:
    found: Mapping[str, int] = statistics.get("values", {}).get(name, {})
    return found


def _shares(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, dict[str, float]]:
    return {
        value: {
            "before": round(before.get(value, 0) / sum(before.values()), 6),
            "now": round(now.get(value, 0) / sum(now.values()), 6),
        }
        for value in sorted(now.keys() | before.keys())
    }
