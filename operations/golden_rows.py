"""Rows of the ledger as golden cases: what people or the environment say is right, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa

from operations.survey_window import Said
from processors.curation.seal.examples import golden_case
from processors.curation.seal.feedback import DECIDING
from processors.curation.seal.reserve import row_ids
from processors.curation.seal.window import CANONICAL, erased
from schemas.datasets import GoldenCase
from schemas.events import EXECUTION, PLAN
from schemas.rows import Disposition
from stores.ledger.scan import Scan, at, where

_COLUMNS = (
    *CANONICAL,
    *("tenant", "source", "run_id", "plan_id", "user", "session", "task", "prompt_digest"),
    *("disposition", "reasons", "arm", "content"),
)


def cases_of_rows(
    scan: Scan, said: Said, tenant: str, model: str, ids: Sequence[str]
) -> tuple[list[GoldenCase], list[str]]:
    """The cases of a model's rows in the order of their ids, and what is wrong with others."""
    rows = _rows(scan, said, tenant, model, ids)
    found, faults = [], []
    for row_id in dict.fromkeys(ids):
        try:
            if row_id not in rows:
                raise ValueError("the model has no such run")  # noqa: TRY301 - of one kind
            found.append(_case(rows[row_id], said))
        except ValueError as error:
            faults.append(f"{row_id}: {error}")
    return found, faults


def _rows(
    scan: Scan, said: Said, tenant: str, model: str, ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    """By id; `erased` says whether somebody asked that the row be forgotten."""
    wanted = where(tenant=tenant, model=model, type=[EXECUTION, PLAN]) & at(ids)
    found: dict[str, dict[str, Any]] = {}
    for batch in scan.batches(_COLUMNS, wanted):
        table = pa.Table.from_batches([batch])
        gone = erased(table, said.subjects).tolist()
        for name, row, forgotten in zip(row_ids(table), table.to_pylist(), gone, strict=True):
            if name in ids:
                found[name] = {**row, "row_id": name, "erased": forgotten}
    return found


def _case(row: Mapping[str, Any], said: Said) -> GoldenCase:
    """Raises ValueError for a row that nobody vouches for."""
    opinion = said.feedback.about(row["tenant"], row["run_id"], row["source"])
    edit = opinion.edit
    if row["erased"] or not row["content"]:
        raise ValueError("it holds no text, or is to be forgotten")
    if row["arm"] == "shadow":
        raise ValueError("it ran in the shadow: nobody used its answer")
    if opinion.decision == "reject":
        raise ValueError("a person has refused it")
    if edit is None:
        _require_accepted(row, opinion.decision, opinion.reward)
    elif edit.author_role not in DECIDING:
        raise ValueError(f"a {edit.author_role} has mended it: only experts and reviewers count")
    return golden_case(row, row["content"], edit)


def _require_accepted(row: Mapping[str, Any], decision: str | None, reward: float | None) -> None:
    if reward is not None and reward < 0:
        raise ValueError("people were not content with it")
    if row["disposition"] != Disposition.ACCEPTED and decision != "accept":
        why = ", ".join(row["reasons"] or ()) or "no reason"
        raise ValueError(f"only accepted runs and corrections: it is {row['disposition']} ({why})")
