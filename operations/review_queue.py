"""The runs of a model that wait for a person, and their text."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.review import COLUMNS, Waiting, runs, waiting
from processors.curation.seal.feedback import collect_feedback
from processors.curation.seal.reserve import row_ids
from processors.curation.seal.window import CANONICAL, start
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
        times = _table(scan, mine, ("event_time", "timestamp"))
        return waiting(
            _table(scan, wanted, COLUMNS),
            fates,
            collect_feedback(said),
            start(times, recipe),
            erasures,
            require_tools=recipe.require_tools,
        )

    def named(
        self, tenant: str, model: str, ids: Collection[str], unread: Sequence[Row] = ()
    ) -> dict[str, Waiting]:
        """The model's runs of these ids, whether or not they wait; those that there are."""
        scan = Scan(self._ledger)
        wanted = where(tenant=tenant, model=model, type=[EXECUTION, PLAN])
        found = _table(scan, wanted & at(ids), COLUMNS)
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
        held = [one["digest"] for one in known if self._datasets.holds(one["digest"])]
        return self._datasets.fates(held[-1]) if held else None


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


def _table(scan: Scan, wanted: pc.Expression, columns: Sequence[str]) -> pa.Table:
    batches = list(scan.batches(columns, wanted))
    if batches:
        return pa.Table.from_batches(batches)
    return pa.schema([FILE_SCHEMA.field(name) for name in columns]).empty_table()
