"""New golden cases of a model: the cases it has and more, frozen under a digest of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from operations.golden_rows import cases_of_rows
from operations.survey_window import read_feedback
from operations.trained_on import TrainedOn
from processors.curation.curate import Curator
from processors.curation.golden_cases import graded, question, read_cases
from processors.curation.policy import CurationPolicy
from schemas.datasets import GoldenCase, Recipe
from schemas.errors import Code, NotReady
from stores.control import registry
from stores.control.database import Database
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.place import Place
from stores.ledger.scan import Scan


@dataclass(frozen=True, slots=True)
class Offered:
    """Cases to add to what a model has, and what is wrong: nothing is added while there is anything.

    `trained_on` says of cases by id where the model has seen them already. `base` is the digest of the newest set.
    """

    cases: list[GoldenCase]
    faults: list[str]
    known: list[GoldenCase]
    base: str | None
    trained_on: dict[str, str] = field(default_factory=dict)


class AddGolden:
    """Reads cases from files and rows, and makes the model's next golden set of them."""

    def __init__(
        self,
        database: Database,
        ledger: Path | Place,
        datasets: DatasetStore,
        policy: CurationPolicy,
    ) -> None:
        """`policy` is ingest's: a case that somebody wrote is read as ingest reads a run."""
        self._database = database
        self._ledger = ledger
        self._datasets = datasets
        self._policy = policy

    def of_file(self, tenant: str, model: str, recipe: Recipe, lines: Iterable[bytes]) -> Offered:
        """Cases as JSON lines (see `WrittenCase`)."""
        base, known = self._newest(tenant, model)
        cases, faults = read_cases(lines, Curator("golden", self._policy), tenant, known)
        return self._offered(tenant, model, recipe, Offered(cases, faults, known, base))

    def of_rows(
        self, tenant: str, model: str, recipe: Recipe, ids: Sequence[str], grader: str | None = None
    ) -> Offered:
        """Rows of the ledger: accepted runs and people's corrections, with a grader if one is named."""
        base, known = self._newest(tenant, model)
        scan = Scan(self._ledger)
        said = read_feedback(scan, tenant, DeltaLedgerReader(self._ledger).offsets())
        cases, faults = cases_of_rows(scan, said, tenant, model, ids)
        asked = {question(case): case.case_id for case in known}
        kept = []
        for case in cases:
            before = asked.setdefault(question(case), case.case_id)
            if before != case.case_id or case.case_id in {one.case_id for one in known}:
                faults.append(f"{case.case_id}: case {before} asks the same")
                continue
            try:
                kept.append(graded(case, grader, None))
            except ValueError as error:
                faults.append(f"{case.case_id}: {error}")
        return self._offered(tenant, model, recipe, Offered(kept, faults, known, base))

    def __call__(self, tenant: str, model: str, offered: Offered, now: datetime) -> dict[str, Any]:
        """Freeze the cases that were there and those offered; what was made.

        Raises NotReady(STALE_WRITE) if somebody else has added cases meanwhile.
        """
        cases = sorted([*offered.known, *offered.cases], key=lambda case: case.case_id)
        digest, uri = self._datasets.write_golden(cases)
        values = {"tenant": tenant, "model": model, "digest": digest, "uri": uri}

        def enter(connection: Connection) -> None:
            newest = registry.golden(connection, tenant, model)
            if (newest["digest"] if newest else None) != offered.base:
                raise NotReady(Code.STALE_WRITE, f"the golden set of {tenant}/{model}")
            registry.add_golden(connection, now, **values, cases=len(cases))

        self._database.write(enter)
        return {**values, "cases": len(cases), "added": len(offered.cases)}

    def _newest(self, tenant: str, model: str) -> tuple[str | None, list[GoldenCase]]:
        newest = self._database.read(lambda c: registry.golden(c, tenant, model))
        if newest is None:
            return None, []
        return str(newest["digest"]), self._datasets.golden(newest["digest"])

    def _offered(self, tenant: str, model: str, recipe: Recipe, offered: Offered) -> Offered:
        offered.trained_on.update(self.trained_on(tenant, model, recipe, offered.cases))
        return offered

    def trained_on(
        self, tenant: str, model: str, recipe: Recipe, cases: Sequence[GoldenCase]
    ) -> dict[str, str]:
        """By case id where the model's datasets train on a case, those that do; see `TrainedOn`."""
        sealed = self._database.read(lambda c: registry.dataset_list(c, tenant, model))
        digests = [str(one["digest"]) for one in sealed if self._datasets.holds(one["digest"])]
        return TrainedOn(self._datasets)(cases, digests, recipe.near_duplicate)
