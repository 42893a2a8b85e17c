"""The difficulty of each run of a window, with the history of its domain."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.difficulty import BORDERS, LEVELS, difficulty, failure_history
from processors.curation.seal.components import cells, codes
from processors.curation.seal.fates import Mask
from processors.curation.seal.selection import numbers
from processors.curation.seal.verdicts import outcome

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
_FACTS = ("steps", "tool_errors", "replans", "tokens")


class Hardness(NamedTuple):
    """One entry a row: `score` 0–1 or NaN, and the level by name, None where it is not known."""

    score: Floats
    level: pa.Array


def hardness(facts: pa.Table, kept: Mask) -> Hardness:
    """What the event declares, else what its facts and the window's other tasks say.

    Rows that are not `kept` have no say in it.
    """
    groups = cells([facts["domain"], facts["task_type"]])[0]
    known = {name: np.where(kept, numbers(facts[name]), np.nan) for name in _FACTS}
    failed = np.where(kept, 1 - outcome(facts), np.nan)
    history = failure_history(groups, codes(facts["task"]) + 1, failed)
    found = difficulty(known, history, groups)
    declared = numbers(facts["difficulty"])
    score = np.where(np.isnan(declared), found.score, declared)
    place = np.searchsorted(BORDERS, score, side="right")
    unknown = np.isnan(score)
    names = np.array(LEVELS, dtype=object)[np.where(unknown, 0, place)]
    return Hardness(score, pa.array(names, pa.string(), mask=unknown))
