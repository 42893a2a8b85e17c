"""A dataset in figures: what its card shows, and what its successor is compared with.

Plain JSON. All bins are fixed, so that any two datasets compare. Figures are about the examples that were
kept, but for `candidates`, `selections`, `clean_rate`, `dropped` and `duplicates`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.seal.selection import equal, null
from processors.drift.shift import shift
from schemas.datasets import Selection, Split

ABSENT, OTHER = "(none)", "(other)"
"""How rows without a value are counted, and those with one beyond the 50 most frequent."""
_MOST = 50
_HUNDRED = tuple(range(0, 101, 5))
_ONE = tuple(n / 20 for n in range(21))
_LENGTH = (0, *(2**n for n in range(24)))
_EDGES = {
    "score": _HUNDRED,
    "quality": _HUNDRED,
    "confidence": _HUNDRED,
    "diversity": _HUNDRED,
    "informativeness": _HUNDRED,
    "turns": _LENGTH,
    "answer_chars": _LENGTH,
    "margin": _ONE,
}
_VALUES = ("domain", "level", "source", "origin", "trust", "kind")
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_DUPLICATES = {
    "exact": "exact_duplicate",
    "near": "near_duplicate",
    "repeated": "duplicate_across_partitions",
}
"""The reasons; `repeated` is one event that was sent twice."""


def statistics(
    facts: pa.Table,
    pairs: Sequence[tuple[str, float]],
    deviation: Mapping[str, float],
    parent: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The figures of a dataset; the same whatever the order of `facts` and `pairs`.

    `facts` has one row a candidate of the window with `selection`, `reason`, `split`, the numbers and values
    named above (`turns` and `answer_chars` where known), `adapter_digest`, `pii` and `event_time`. `pairs`
    are (split, margin). `deviation` is each split's share less the share asked for, and what else the split
    says of itself. `parent` are the figures of the dataset before it. All is rounded to 1e-6.
    """
    facts = facts.filter(pa.array(~equal(facts["reason"], "outside_window")))
    kept = facts.filter(pa.array(equal(facts["selection"], Selection.ACCEPT)))
    found: dict[str, Any] = {
        "candidates": facts.num_rows,
        "selections": _counts(facts["selection"]),
        "clean_rate": kept.num_rows / facts.num_rows if facts.num_rows else None,
        "splits": {str(split): int(equal(kept["split"], split).sum()) for split in Split},
        "times": [_time(pc.min(kept["event_time"])), _time(pc.max(kept["event_time"]))],
        "numbers": {
            name: _number(kept[name], _EDGES[name]) for name in _EDGES if name in kept.column_names
        },
        "values": {name: _counts(kept[name]) for name in _VALUES},
        "cells": _cells(kept),
        "own_output": _own(kept),
        "dropped": _dropped(facts),
        "duplicates": {k: int(equal(facts["reason"], v).sum()) for k, v in _DUPLICATES.items()},
        "pairs": _pairs(pairs),
        "pii": _pii(kept["pii"]),
        "deviation": dict(sorted(deviation.items())),
    }
    whole: dict[str, Any] = _rounded({**found, "drift": shift(found, parent) if parent else None})
    return whole


def _number(column: pa.ChunkedArray, edges: Sequence[float]) -> dict[str, Any]:
    """How many are known, their mean, quantiles and histogram; what is beyond the edges is at the edge."""
    values = np.sort(column.drop_null().cast(pa.float64()).to_numpy())
    values = values[~np.isnan(values)]
    binned = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return {
        "known": len(values),
        "mean": float(values.mean()) if len(values) else None,
        "quantiles": {f"{q:g}": float(np.quantile(values, q)) for q in _QUANTILES if len(values)},
        "edges": list(edges),
        "counts": binned.tolist(),
    }


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = pc.value_counts(_named(column)).to_pylist()
    return dict(sorted((each["values"], each["counts"]) for each in counted))


def _named(column: pa.ChunkedArray) -> pa.Array:
    """The values as text, the 50 most frequent by name: a dataset of a million sources has a card too."""
    values = column.cast(pa.string()).combine_chunks().fill_null(ABSENT)
    counted = pc.value_counts(values).to_pylist()
    if len(counted) <= _MOST:
        return values
    counted.sort(key=lambda each: (-each["counts"], each["values"]))
    named = pa.array([each["values"] for each in counted[:_MOST]])
    return pc.if_else(pc.is_in(values, named), values, OTHER)


def _cells(kept: pa.Table) -> list[dict[str, Any]]:
    """Examples of each domain and difficulty, in all and by split, in the order of their names."""
    columns = {"domain": _named(kept["domain"]), "level": _named(kept["level"])}
    table = pa.table({**columns, "split": kept["split"].cast(pa.string())})
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for each in table.group_by([*columns, "split"]).aggregate([([], "count_all")]).to_pylist():
        found[each["domain"], each["level"]][each["split"]] = each["count_all"]
    return [
        {
            "domain": domain,
            "level": level,
            "kept": sum(by_split.values()),
            **{str(split): by_split.get(split, 0) for split in Split},
        }
        for (domain, level), by_split in sorted(found.items())
    ]


def _own(kept: pa.Table) -> dict[str, Any]:
    """Answers that an adapter wrote and nobody mended: how much of the dataset, and whose."""
    own = kept.filter(pa.array(equal(kept["kind"], "run") & ~null(kept["adapter_digest"])))
    share = own.num_rows / kept.num_rows if kept.num_rows else 0.0
    return {"share": share, "adapters": _counts(own["adapter_digest"])}


def _dropped(facts: pa.Table) -> list[dict[str, Any]]:
    """What was left out and why, the most frequent first."""
    left = facts.select(["reason", "selection"]).filter(
        pa.array(~equal(facts["selection"], Selection.ACCEPT))
    )
    columns = {name: left[name].cast(pa.string()) for name in left.column_names}
    counted = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")])
    rows = [
        {"reason": each["reason"], "selection": each["selection"], "rows": each["count_all"]}
        for each in counted.to_pylist()
    ]
    return sorted(rows, key=lambda each: (-each["rows"], each["reason"], each["selection"]))


def _pairs(pairs: Sequence[tuple[str, float]]) -> dict[str, Any]:
    margins = pa.chunked_array([[margin for _, margin in pairs]], pa.float64())
    splits = [split for split, _ in pairs]
    return {
        "splits": {str(split): splits.count(split) for split in Split},
        "margin": _number(margins, _EDGES["margin"]),
    }


def _pii(column: pa.ChunkedArray) -> dict[str, dict[str, int]]:
    """By kind: distinct values, how often they stood there, and rows. The values are known as HMACs alone."""
    values: dict[str, set[str]] = defaultdict(set)
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"values": 0, "times": 0, "rows": 0})
    for text in column.drop_null().to_pylist():
        for kind, times in json.loads(text).items():
            values[kind].update(times)
            found[kind]["times"] += sum(times.values())
            found[kind]["rows"] += 1
    return {kind: {**found[kind], "values": len(values[kind])} for kind in sorted(found)}


def _time(found: pa.Scalar) -> str | None:
    return f"{found.as_py():%Y-%m-%dT%H:%M:%SZ}" if found.is_valid else None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
