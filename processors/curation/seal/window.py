"""Which rows a window holds: below the frozen offsets, young enough, not erased, each event once.

All functions take columns in canonical order and give one mask.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.seal.fates import Mask
from schemas.datasets import Recipe
from schemas.records import partition_key

CANONICAL = ("cluster", "topic", "incarnation", "partition", "offset")
"""The canonical order of rows: by where their events lie in Kafka."""
_SHAPES = (
    ("tenant", "user"),
    ("tenant", "session"),
    ("tenant", "source"),
    ("tenant", "source", "execution_id"),
    ("tenant", "source", "plan_id"),
)
_COLUMNS = {"execution_id": "run_id"}
_TIME = pa.timestamp("us", tz="UTC")


def covered(facts: pa.RecordBatch | pa.Table, offsets: Mapping[str, int]) -> Mask:
    """Rows below the frozen offset of their partition."""
    places = [facts[name].to_pylist() for name in CANONICAL]
    return np.fromiter(
        (
            o < offsets.get(partition_key(c, t, p, i or 0), 0)
            for c, t, i, p, o in zip(*places, strict=True)
        ),
        np.bool_,
        facts.num_rows,
    )


def in_order(facts: pa.Table) -> pa.Table:
    """The rows in canonical order."""
    return facts.take(pc.sort_indices(facts, sort_keys=[(name, "ascending") for name in CANONICAL]))


def start(facts: pa.Table, recipe: Recipe) -> datetime | None:
    """Where the window begins: as the recipe says, or so many days before its newest run.

    No run is newer than its record, so that one event from the year 2099 does not empty the window.
    """
    if recipe.since is not None:
        return recipe.since
    stated = facts["event_time"].cast(_TIME).cast(pa.int64())  # Arrow finds no least of two times
    written = pc.multiply(facts["timestamp"], 1_000)
    newest = pc.max(pc.min_element_wise(stated, written)).cast(_TIME).as_py()
    return None if newest is None else newest - timedelta(days=recipe.window_days)


def too_old(facts: pa.Table, since: datetime | None) -> Mask:
    """Rows from before the window."""
    if since is None:
        return np.zeros(facts.num_rows, np.bool_)
    wanted = pa.scalar(since, _TIME)
    return _mask(pc.less(facts["event_time"], wanted))


def repeated(facts: pa.Table, kept: Mask) -> Mask:
    """Of rows with one tenant, source and id all but the first that is kept."""
    joined = _joined(facts, ("tenant", "source", "id"))
    codes = joined.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    places = np.flatnonzero(kept)
    _, first = np.unique(codes[places], return_index=True)
    again = kept.copy()
    again[places[first]] = False
    return again


def erased(facts: pa.Table, subjects: Iterable[tuple[str | None, str]]) -> Mask:
    """Rows of subjects that are to be forgotten: (tenant, subject as JSON) of every erasure."""
    wanted: dict[Sequence[str], list[str]] = {shape: [] for shape in _SHAPES}
    for tenant, text in subjects:
        subject = {**json.loads(text), "tenant": tenant}
        shape = next((s for s in _SHAPES if set(s) == subject.keys()), None)
        if shape is not None:
            wanted[shape].append("\0".join(str(subject[name]) for name in shape))
    found = [
        _mask(pc.is_in(_joined(facts, shape), pa.array(values, pa.string())))
        for shape, values in wanted.items()
        if values
    ]
    return reduce(or_, found, np.zeros(facts.num_rows, np.bool_))


def _joined(facts: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    """Columns as one text each, null where one of them is; no value holds NUL."""
    columns: list[Any] = [facts[_COLUMNS.get(name, name)] for name in names]
    return pc.binary_join_element_wise(*columns, "\0")


def _mask(found: pa.ChunkedArray) -> Mask:
    filled: Mask = (
        pc.fill_null(found, fill_value=False).combine_chunks().to_numpy(zero_copy_only=False)
    )
    return filled
