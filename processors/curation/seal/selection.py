"""Which runs of a window may be learned from: what ingest decided, what people said, what the recipe asks.

Functions of the survey's columns, in canonical order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.seal.fates import Fates, Mask
from processors.curation.seal.feedback import DECIDING
from schemas.datasets import Recipe
from schemas.events import EXECUTION
from schemas.rows import Disposition


def select(facts: pa.Table, recipe: Recipe, fates: Fates) -> None:
    """Leave out what must not be learned. An expert's or a reviewer's edit or word goes before any threshold."""
    fates.drop(equal(facts["state"], "no_text"), "no_text")
    fates.drop(equal(facts["arm"], "shadow"), "shadow")
    fates.drop(carried_out(facts, fates.kept), "carried_out")
    fates.drop(equal(facts["decision"], "reject"), "rejected_by_person")
    fates.drop(~mended(facts) & (numbers(facts["reward"]) < 0), "negative_feedback")
    judged = undecided(facts)
    for disposition in (Disposition.REJECTED, Disposition.REVIEW):
        fates.drop(judged & equal(facts["disposition"], disposition), f"ingest_{disposition}")
    fates.drop(judged & (numbers(facts["quality"]) < recipe.min_quality), "low_quality")
    fates.drop(judged & unverified(facts, recipe), "unverified_quality")
    fates.drop(judged & (numbers(facts["confidence"]) < recipe.min_confidence), "low_confidence")
    if recipe.require_tools:
        fates.drop(equal(facts["type"], EXECUTION) & equal(facts["defined"], ""), "no_tools")
    fates.drop(equal(facts["state"], "no_answer"), "no_answer")
    fates.drop(stale(facts), "stale_tools")


def carried_out(facts: pa.Table, kept: Mask) -> Mask:
    """Plans whose run is among the `kept` rows and of which no person has said that they are right.

    The run shows what the plan came to: it stands for both, and where it is too poor to learn from so is the
    plan. Both as examples would ask the same and show two forms of answer.
    """
    runs = equal(facts["type"], EXECUTION)
    keys = zip(*(facts[name].to_pylist() for name in ("tenant", "source", "plan_id")), strict=True)
    done: set[tuple[Any, ...]] = set()
    open_: list[tuple[int, tuple[Any, ...]]] = []
    for row, (key, run, there) in enumerate(zip(keys, runs.tolist(), kept.tolist(), strict=True)):
        if key[2] is not None and not run:
            open_.append((row, key))
        elif key[2] is not None and there:
            done.add(key)
    found = np.zeros(facts.num_rows, np.bool_)
    found[[row for row, key in open_ if key in done]] = True
    return found & undecided(facts)


def undecided(facts: pa.Table) -> Mask:
    """Rows of which no expert or reviewer has said that they are right, by an edit or a decision."""
    return ~mended(facts) & ~equal(facts["decision"], "accept")


def mended(facts: pa.Table) -> Mask:
    """Rows whose answer is an expert's or a reviewer's."""
    found = np.zeros(facts.num_rows, np.bool_)
    for role in DECIDING:
        found |= equal(facts["label_role"], role)
    return found


def unverified(facts: pa.Table, recipe: Recipe) -> Mask:
    """Rows whose outcome nobody states, and of which no calibrated judge speaks better than required.

    Those of verified sources that nobody judged are taken as they are: a library of right plans has no outcomes.
    """
    parts = facts["quality_parts"]
    unstated = ~null(parts) & ~_numpy(
        pc.fill_null(pc.match_substring(parts, '"outcome"'), fill_value=False)
    )
    quality = numbers(facts["quality"])
    open_ = ~equal(facts["trust"], "verified")
    return unstated & np.where(np.isnan(quality), open_, quality <= recipe.min_quality)


def usable(facts: pa.Table, kept: Mask) -> Mask:
    """Rows that may be one side of a preference pair: seen by a user, asked and answered."""
    shown = equal(facts["state"], "") & ~equal(facts["arm"], "shadow")
    return kept & shown & ~carried_out(facts, kept & shown) & ~stale(facts)


def weights(facts: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The loss weight of each row: 1, moved by half its mean reward (−1…1) either way."""
    found: np.ndarray[Any, np.dtype[np.float64]] = 1.0 + 0.5 * np.nan_to_num(
        numbers(facts["reward"])
    )
    return found


def stale(facts: pa.Table) -> Mask:
    """Rows that call a tool which the newest definitions of their agent and domain no longer have."""
    keys = [facts["agent"].to_pylist(), facts["domain"].to_pylist()]
    times = facts["event_time"].cast(pa.int64()).to_pylist()
    newest: dict[tuple[Any, Any], tuple[tuple[int, int], str]] = {}
    defined = facts["defined"].to_pylist()
    for row, (agent, domain, at, names) in enumerate(zip(*keys, times, defined, strict=True)):
        stamp = (at or 0, row)
        if names and ((agent, domain) not in newest or stamp > newest[agent, domain][0]):
            newest[agent, domain] = stamp, names
    known = {key: frozenset(names.split("\n")) for key, (_, names) in newest.items()}
    found: dict[tuple[Any, ...], bool] = {}
    for combination in set(zip(*keys, facts["called"].to_pylist(), strict=True)):
        *key, called = combination
        tools = known.get(tuple(key))
        found[combination] = bool(called and tools and not tools.issuperset(called.split("\n")))
    rows = zip(*keys, facts["called"].to_pylist(), strict=True)
    return np.fromiter(map(found.__getitem__, rows), np.bool_, facts.num_rows)


def equal(column: pa.ChunkedArray, value: str) -> Mask:
    """Where a column has a value; nowhere where it is null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return _numpy(pc.fill_null(pc.equal(column, str(value)), fill_value=False))


def null(column: pa.ChunkedArray) -> Mask:
    """Where a column has no value."""
    return _numpy(column.is_null())


def numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A column of numbers; what is absent is NaN, which no comparison finds."""
    found: np.ndarray[Any, np.dtype[np.float64]] = column.cast(pa.float64()).to_numpy()
    return found


def _numpy(found: pa.ChunkedArray) -> Mask:
    mask: Mask = found.combine_chunks().to_numpy(zero_copy_only=False)
    return mask
