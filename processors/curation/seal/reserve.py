"""Golden cases are never learned: not the row, its task, session or user, nor what resembles it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.seal.conversation import asked
from processors.curation.seal.fates import Mask
from processors.curation.seal.window import CANONICAL
from schemas.datasets import GoldenCase
from schemas.records import partition_key

_NAMES = ("task", "prompt_digest", "session", "user")


def reserved(facts: pa.Table, golden: Sequence[GoldenCase]) -> Mask:
    """Rows that a golden case was made of, or that share its task, prompt, session or user."""
    found = [np.zeros(facts.num_rows, np.bool_)]
    for name in _NAMES:
        values = sorted({value for case in golden if (value := getattr(case, name))})
        if values:
            known = pc.is_in(facts[name], pa.array(values, pa.string()))
            found.append(known.combine_chunks().to_numpy(zero_copy_only=False))
    cases = {case.case_id for case in golden}
    if cases:
        found.append(np.array([name in cases for name in row_ids(facts)], np.bool_))
    return reduce(or_, found)


def forbidden(golden: Sequence[GoldenCase]) -> list[str]:
    """The folded prompts of golden cases; an empty one forbids nothing."""
    return [text for case in golden if (text := asked(case.messages))]


def row_ids(facts: pa.Table) -> list[str]:
    """The identity of each row: where its record lies in Kafka."""
    places = zip(*(facts[name].to_pylist() for name in CANONICAL), strict=True)
    return [f"{partition_key(c, t, p, i or 0)}:{o}" for c, t, i, p, o in places]
