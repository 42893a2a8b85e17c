"""The runs of a model that wait for a person, and their text."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.review import COLUMNS, Waiting, runs, waiting
from processors.curation.seal.feedback import collect_feedback
from processors.curation.seal.reserve import row_ids
from processors.curation.seal.window import CANONICAL
from schemas.datasets import Recipe, Selection
from schemas.events import EXECUTION, FEEDBACK, PLAN
from schemas.rows import Disposition, Row
from stores.control import registry
from stores.control.database import Database
from stores.datasets.store import DatasetStore
from stores.ledger.place import Place
from stores.ledger.scan import Scan, at, where
from stores.ledger.schema import FILE_SCHEMA, to_row

_NAMES = list(Row._fields)
_EMPTY = pa.schema([FILE_SCHEMA.field(name) for name in COLUMNS]).empty_table()
Contents = dict[str, dict[str, Any]]
"""What rows hold, by their ids; those without text are missing."""


class ReviewQueue:
    """Reads the ledger, the newest dataset's outcome, and what people have said since."""

    def __init__(self, ledger: Path | Place, database: Database, datasets: DatasetStore) -> None:
        self._ledger = ledger
        self._database = database
        self._datasets = datasets

    def __call__(
        self, tenant: str, model: str, recipe: Recipe, unread: Sequence[Row] = ()
    ) -> list[Waiting]:
        """The queue as of now, newest first. `unread` is feedback that the ledger does not have yet.

        Raises Unrecoverable(NO_SUCH_FILE) where no ledger is.
        """
        scan, fates = Scan(self._ledger), self._fates(tenant, model)
        said = [*_feedback(scan, tenant), *unread]
        mine = where(tenant=tenant, model=model, type=[EXECUTION, PLAN])
        left = pc.field("disposition") == str(Disposition.REVIEW)
        wanted = mine & (left | at(_doubted(fates)))
        erasures = [
            (row.tenant, row.subject)
            for row in said
            if row.subject and row.disposition is Disposition.ACCEPTED
        ]
        since = recipe.since or _start(scan, mine, recipe.window_days)
        return waiting(
            _table(scan, wanted),
            fates,
            collect_feedback(said),
            since,
            erasures,
            require_tools=recipe.require_tools,
        )

    def named(
        self, tenant: str, model: str, ids: Collection[str], unread: Sequence[Row] = ()
    ) -> dict[str, Waiting]:
        """The model's runs of these ids, whether or not they wait; those that there are."""
        scan = Scan(self._ledger)
        wanted = where(tenant=tenant, model=model, type=[EXECUTION, PLAN])
        found = _table(scan, wanted & at(ids))
        feedback = collect_feedback([*_feedback(scan, tenant), *unread])
        return {one.row_id: one for one in runs(found, feedback) if one.row_id in ids}

    def contents(self, ids: Collection[str]) -> Contents:
        """The text of rows, read in one go: ask for some dozens."""
        scan = Scan(self._ledger)
        wanted = at(ids) & pc.field("content").is_valid()
        found: Contents = {}
        for batch in scan.batches((*CANONICAL, "content"), wanted):
            table = pa.Table.from_batches([batch])
            for row_id, text in zip(row_ids(table), table["content"].to_pylist(), strict=True):
                if row_id in ids:
                    found[row_id] = json.loads(text)
        return found

    def _fates(self, tenant: str, model: str) -> pa.Table | None:
        known = self._database.read(lambda c: registry.dataset_list(c, tenant, model))
        return self._datasets.fates(str(known[-1]["digest"])) if known else None


def _feedback(scan: Scan, tenant: str) -> list[Row]:
    """All that was said in a tenant: it is little beside the runs."""
    wanted = where(tenant=tenant, type=FEEDBACK)
    return [to_row(one) for batch in scan.batches(_NAMES, wanted) for one in batch.to_pylist()]


def _doubted(fates: pa.Table | None) -> list[str]:
    """The ids of the rows that the last seal left to a person."""
    if fates is None:
        return []
    doubted = pc.equal(fates["selection"], str(Selection.REVIEW))
    found: list[str] = fates.filter(doubted)["row_id"].to_pylist()
    return found


def _table(scan: Scan, wanted: pc.Expression) -> pa.Table:
    batches = list(scan.batches(COLUMNS, wanted))
    return pa.Table.from_batches(batches, batches[0].schema) if batches else _EMPTY


def _start(scan: Scan, mine: pc.Expression, days: float) -> datetime | None:
    """Where the window begins: so many days before the model's newest run."""
    newest = [pc.max(batch["event_time"]).as_py() for batch in scan.batches(("event_time",), mine)]
    known = [moment for moment in newest if moment is not None]
    return max(known) - timedelta(days=days) if known else None
