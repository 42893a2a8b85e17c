"""Which runs wait for a person: what ingest left to review since the last seal, and what that seal doubted.

A pure function of columns. What nobody needs to decide any more is left out: runs that a person has
decided or mended, that a seal settled, that lie before the window, belong to who is to be forgotten, or could
not be learned whatever a person says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.redacted_content import INCOMPLETE
from processors.curation.seal.fates import Mask
from processors.curation.seal.feedback import FeedbackIndex
from processors.curation.seal.reserve import row_ids
from processors.curation.seal.selection import equal, null
from processors.curation.seal.window import CANONICAL, erased, too_old
from schemas.datasets import Selection
from schemas.events import EXECUTION, PLAN
from schemas.rows import Disposition

COLUMNS = (
    *("cluster", "topic", "incarnation", "partition", "offset", "type", "tenant", "source"),
    *(
        "event_time",
        "disposition",
        "reasons",
        "agent",
        "model",
        "user",
        "session",
        "run_id",
        "plan_id",
    ),
    *("task", "task_type", "domain", "origin", "trust", "quality", "quality_parts", "confidence"),
    "tools_digest",
)
"""Of a row of the ledger, what `waiting` and a reviewer have to know."""
INGEST = "ingest_review"
_TEXTLESS = frozenset({INCOMPLETE, "redaction_failed"})
"""Ingest's reasons for a row without text: there is nothing to decide about."""
_SEALED = ("score", "quality", "diversity", "informativeness")
"""Numbers that the seal knows better than the row."""
_SCORES = (*_SEALED, "confidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run on which a person may decide.

    `reason` is why the seal doubted it, or `ingest_review`; `reasons` are ingest's. `scores` are those
    known: composite `score`, `quality`, `diversity` and `informativeness` 0–100, `confidence` 0–1.
    `parts` are the shares of which ingest's quality is made. `rejected`: a person has refused it before.
    """

    row_id: str
    tenant: str
    model: str | None
    run_id: str
    source: str
    plan: bool
    reason: str
    reasons: tuple[str, ...]
    event_time: datetime | None
    agent: str | None
    task: str | None
    task_type: str | None
    domain: str | None
    level: str | None
    origin: str | None
    trust: str | None
    scores: dict[str, float]
    parts: dict[str, float]
    rejected: bool = False


def waiting(
    facts: pa.Table,
    fates: pa.Table | None,
    feedback: FeedbackIndex,
    since: datetime | None,
    erasures: Iterable[tuple[str | None, str]],
    *,
    require_tools: bool = False,
) -> list[Waiting]:
    """The queue, newest first, each run once.

    `facts` are COLUMNS of the model's runs, `fates` the outcome of its newest dataset (see
    `DatasetStore.fates`), `erasures` (tenant, subject) of those to be forgotten. `since` is where the window
    begins; `require_tools` is the recipe's.
    """
    whole = _beside(facts, fates)
    kept = _undecided(whole) & ~too_old(whole, since) & ~erased(whole, erasures)
    if require_tools:
        kept &= ~(equal(whole["type"], EXECUTION) & null(whole["tools_digest"]))
    newest = [("event_time", "descending"), *((name, "ascending") for name in CANONICAL)]
    table = whole.filter(pa.array(kept))
    found: dict[tuple[str, str], Waiting] = {}
    for one in runs(table.take(pc.sort_indices(table, sort_keys=newest)), feedback):
        opinion = feedback.about(one.tenant, one.run_id, one.source)
        refused = opinion.reward is not None and opinion.reward < 0
        if not (opinion.settled or refused or _TEXTLESS.intersection(one.reasons)):
            found.setdefault((one.run_id, one.source), one)
    return list(found.values())


def runs(facts: pa.Table, feedback: FeedbackIndex) -> Iterator[Waiting]:
    """Rows as runs on which a person may decide, whether or not anybody has to."""
    whole = facts if "fate" in facts.column_names else _beside(facts, None)
    for row_id, row in zip(row_ids(whole), whole.to_pylist(), strict=True):
        opinion = feedback.about(row["tenant"], row["run_id"], row["source"])
        yield _run(row_id, row, rejected=opinion.decision == "reject")


def _beside(facts: pa.Table, fates: pa.Table | None) -> pa.Table:
    """The facts, and what the last seal said of each row: its `fate`, why, its scores; null if nothing."""
    names = ("selection", "reason", *_SEALED, "level")
    if fates is None:
        said = {name: pa.nulls(len(facts), _type(name)) for name in names}
    else:
        ids = fates["row_id"].combine_chunks().cast(pa.string())
        places = pc.index_in(pa.array(row_ids(facts), pa.string()), value_set=ids)
        said = {name: fates[name].take(places).cast(_type(name)) for name in names}
    said["fate"] = said.pop("selection")
    said["quality"] = pc.coalesce(said["quality"], facts["quality"])
    return pa.table({**{name: facts[name] for name in facts.column_names}, **said})


def _type(name: str) -> pa.DataType:
    return pa.float64() if name in _SEALED else pa.string()


def _undecided(whole: pa.Table) -> Mask:
    """Where the last seal doubted, or did not look and ingest did."""
    doubted = pc.equal(whole["fate"], str(Selection.REVIEW))
    left = pc.equal(whole["disposition"], str(Disposition.REVIEW))
    found: Mask = np.asarray(pc.fill_null(pc.coalesce(doubted, left), fill_value=False))
    return found


def _run(row_id: str, row: Mapping[str, Any], *, rejected: bool) -> Waiting:
    named = ("tenant", "model", "run_id", "source", "event_time", "agent", "task", "task_type")
    told = ("domain", "level", "origin", "trust")
    scores = {name: row[name] for name in _SCORES if row[name] is not None}
    return Waiting(
        **{name: row[name] for name in (*named, *told)},
        row_id=row_id,
        plan=row["type"] == PLAN,
        reason=row["reason"] or INGEST,
        reasons=tuple(row["reasons"] or ()),
        scores=scores,
        parts=json.loads(row["quality_parts"] or "{}"),
        rejected=rejected,
    )
