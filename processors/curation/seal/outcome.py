"""A decision as a table: one line a candidate of the window, with what was decided of it and why."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.seal.decide import NO_PART, Decision
from processors.curation.seal.examples import CORRECTION, RUN
from processors.curation.seal.reserve import row_ids
from processors.curation.seal.selection import null
from schemas.datasets import DOUBTS, Selection, Split

Array: TypeAlias = np.ndarray[Any, Any]
PARTS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
_HANDED_ON = (
    *("label", "prompt_digest", "task", "session", "user", "domain", "task_type", "source"),
    *("origin", "trust", "adapter_digest", "pii", "event_time", "tenant", "run_id"),
    *("turns", "answer_chars"),
)
FATES = (
    *("row_id", "selection", "reason", "split", "score", "quality", "confidence", "diversity"),
    *("informativeness", "level"),
)
"""The columns that are kept beside a dataset, of all candidates: what was decided, and nothing of what a row says.

An erasure withdraws the datasets that hold examples of its subject; those for which it was a candidate alone stay.
"""


def outcome(decision: Decision) -> pa.Table:
    """All rows in canonical order: FATES, and what an example of each would say."""
    names = pa.array(row_ids(decision.facts), pa.string())
    reasons = decision.fates.reasons()
    columns = {
        "row_id": names,
        "selection": _selections(reasons),
        "reason": reasons,
        "split": _splits(decision.parts),
        "kind": pa.array(np.where(null(decision.facts["label"]), RUN, CORRECTION), pa.string()),
        "level": decision.hardness.level,
        "weight": pa.array(decision.weights),
        "cluster": names.take(pa.array(decision.clusters)),
        **{
            name: pa.array(values, from_pandas=True)
            for name, values in decision.scores._asdict().items()
        },
    }
    return pa.table({**columns, **{name: decision.facts[name] for name in _HANDED_ON}})


def _selections(reasons: pa.Array) -> pa.Array:
    doubtful = pc.is_in(reasons, pa.array(sorted(DOUBTS)))
    refused = pc.if_else(doubtful, str(Selection.REVIEW), str(Selection.REJECT))
    return pc.if_else(pc.equal(reasons, ""), str(Selection.ACCEPT), refused)


def _splits(parts: Array) -> pa.Array:
    known = np.array([str(part) for part in PARTS], dtype=object)
    absent = parts == NO_PART
    return pa.array(known[np.where(absent, 0, parts)], pa.string(), mask=absent)
