"""Golden sets without the cases of a subject."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection

from processors.curation.erasures import ErasureIndex
from schemas.datasets import GoldenCase
from schemas.erasures import Erasure
from stores.control import erasures, registry
from stores.control.database import Database
from stores.datasets.store import DatasetStore
from stores.datasets.withdraw import delete
from stores.ledger.place import Fault


class Replaced(NamedTuple):
    """A golden set that held cases of the subject, and the one in its place (None: no case is left)."""

    model: str
    digest: str
    successor: str | None
    removed: int


class EraseGolden:
    """Freezes what is left of each golden set, and deletes the old one."""

    def __init__(self, database: Database, store: DatasetStore, fault: Fault) -> None:
        self._database = database
        self._store = store
        self._fault = fault

    def __call__(
        self, found: Erasure, index: ErasureIndex, rows: AbstractSet[str], now: datetime
    ) -> None:
        """`rows` are the ids of emptied rows. What was done is in the erasure's report afterwards."""
        tenant = found.tenant
        for known in self._listed(tenant):
            cases = self._store.golden(known["digest"])
            kept = [case for case in cases if not of_subject(case, tenant, index, rows)]
            if len(kept) < len(cases):
                digest, uri = self._store.write_golden(kept) if kept else (None, "")
                gone = Replaced(known["model"], known["digest"], digest, len(cases) - len(kept))
                values = {"digest": digest, "uri": uri, "cases": len(kept)}
                note = partial(
                    _replace, name=found.id, known=known, gone=gone, values=values, now=now
                )
                self._database.write(note)
                self._fault("golden_replaced")
        self._delete(found.id)

    def _listed(self, tenant: str) -> list[Mapping[str, Any]]:
        every = self._database.read(registry.golden_list)
        return [known for known in every if known["tenant"] == tenant]

    def _delete(self, name: str) -> None:
        used = {known["digest"] for known in self._database.read(registry.golden_list)}
        report = self._database.read(lambda c: erasures.report(c, name))
        for one in report.get("golden", []):
            if one["digest"] not in used:
                delete(self._store.objects, [f"golden/{one['digest']}/cases.jsonl"])


def of_subject(case: GoldenCase, tenant: str, index: ErasureIndex, rows: AbstractSet[str]) -> bool:
    """Whether it is made of a row or of an edit of the subject."""
    facts: dict[str, list[str | None]] = {
        "tenant": [tenant, tenant],
        "user": [case.user, case.label_user],
        "session": [case.session, None],
        "source": [case.source, case.label_source],
    }
    return not rows.isdisjoint({case.case_id, case.label_row}) or any(index.marks(facts))


def _replace(
    connection: Connection,
    name: str,
    known: Mapping[str, Any],
    gone: Replaced,
    values: Mapping[str, Any],
    now: datetime,
) -> None:
    """The new set has the old one's age: of several the youngest counts."""
    registry.remove_golden(connection, known["tenant"], known["model"], known["digest"])
    if gone.successor is not None:
        registry.add_golden(
            connection,
            known["created_at"],
            tenant=known["tenant"],
            model=known["model"],
            **values,
        )
    listed = [*erasures.report(connection, name).get("golden", []), gone._asdict()]
    erasures.note(connection, name, now, golden=listed)
