"""A model's first golden set: which rows of a window, in columns."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.policy import TRUSTED
from processors.curation.seal.caps import drawn
from processors.curation.seal.components import codes, groups
from processors.curation.seal.decide import Window, judge
from processors.curation.seal.fates import Mask
from processors.curation.seal.selection import equal, mended, null, numbers
from schemas.datasets import Recipe

Array: TypeAlias = np.ndarray[Any, Any]
_SHARE = 0.2


def choose_golden(window: Window, recipe: Recipe) -> Array:
    """The rows of the first golden set, ascending: trusted examples, never more than a fifth.

    Trusted are corrections by experts and reviewers, and accepted runs of trusted sources, with one answer.
    The choice is a seeded hash over groups that training will lose as a whole (a session, a user, a task,
    a prompt and what resembles it), so the set resembles the traffic; groups larger than what is left of the
    fifth are passed over.
    """
    judged = judge(window, recipe)
    facts, kept = judged.facts, judged.fates.kept
    columns = [codes(facts[name]) for name in ("session", "user", "task", "prompt_digest")]
    roots = groups([np.where(kept, code, -1) for code in (*columns, judged.clusters)])
    rows = np.flatnonzero(kept)
    usable = trusted(facts) & (numbers(facts["answers"]) == 1)
    return _chosen(
        rows, roots[rows], usable[rows], drawn(facts, recipe.seed, "golden")[rows], recipe
    )


def trusted(facts: pa.Table) -> Mask:
    """Rows whose answer may judge others."""
    found, own = mended(facts), null(facts["label"])
    for trust in TRUSTED:
        found |= own & equal(facts["trust"], trust)
    return found


def _chosen(rows: Array, roots: Array, usable: Array, ranks: Array, recipe: Recipe) -> Array:
    """Whole groups in the order of their lowest rank, as long as there is room."""
    order = np.lexsort((ranks, roots))
    borders = np.flatnonzero(np.diff(roots[order])) + 1
    members = [group for group in np.split(order, borders) if len(group)]
    room, found = int(len(rows) * _SHARE), list[int]()
    for group in sorted(members, key=lambda group: int(ranks[group[0]])):
        good = group[usable[group]]
        if len(good) and len(group) <= room and len(found) < recipe.golden_size:
            room -= len(group)
            found += good[: recipe.golden_size - len(found)].tolist()
    return np.sort(rows[np.array(found, np.int64)])
