"""The statistics of a decided window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from processors.curation.seal.decide import Decision
from processors.curation.seal.outcome import PARTS
from processors.curation.seal.statistics import statistics


def figures(
    decision: Decision,
    table: pa.Table,
    pairs: Sequence[tuple[str, float]],
    parent: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The figures of a dataset from its decision, that as a table (see `outcome`), and its parent's.

    `pairs` are the (split, margin) of those that were written: texts decide whether two answers differ.
    """
    found = decision.split
    overall = zip(map(str, PARTS), found.overall_deviation.tolist(), strict=True)
    deviation = {**dict(overall), "mean_of_cells": found.mean_deviation}
    return statistics(table, pairs, deviation, parent)
