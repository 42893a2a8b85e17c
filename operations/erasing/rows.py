"""The ledger's part: rows of a subject are emptied where they lie, and what held them is deleted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa

from operations.count_ledger import CountLedger
from operations.erasing.row_names import PLACE, row_names
from operations.hold_lease import HeldLease
from operations.maintain_ledger import LEASE
from processors.curation.emptying import Emptying, spoken_of
from processors.curation.erasures import ErasureIndex
from schemas.erasures import Erasure, ErasureState
from schemas.errors import NotReady
from stores.control import erasures
from stores.control.database import Database
from stores.ledger import erasure as ledger
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.hold import share
from stores.ledger.log import LogExpired
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.replace import forget_unfinished

_ATTEMPTS = 5


class EmptyRows:
    """See the module. Safe beside writers and readers; what else removes files waits meanwhile."""

    def __init__(
        self,
        place: Place,
        database: Database,
        count: CountLedger,
        owner: str,
        fault: Fault = no_fault,
    ) -> None:
        self._place = place
        self._database = database
        self._count = count
        self._owner = owner
        self._fault = fault

    def __call__(self, found: Erasure, clock: Callable[[], datetime]) -> dict[str, Any]:
        """Empty them; what the certificate says of it.

        Erasures that were asked for later are left to their own turn, so that each certificate says what
        its own erasure did. Raises NotReady(LEDGER_IN_USE) while the ledger is rebuilt, NotReady(LEASE_TAKEN) while
        its maintenance does not end.
        """
        with HeldLease(self._database, LEASE, self._owner, clock), share(self._place):
            forget_unfinished(self._place)
            self._note_runs(found)
            emptying = self._emptying(found)
            for day in ledger.days(self._place):
                self._empty(day, emptying)
                self._fault("day_emptied")
            self._count.recount()
            self._fault("counted")
            deleted = ledger.purge(self._place, self._fault)
            return self._report(found, deleted)

    def concerned(self, found: Erasure) -> set[str]:
        """The ids of the rows that it would empty; nothing is changed."""
        emptying = self._emptying(found, self._runs(found))
        names: set[str] = set()
        for keys in ledger.keys(self._place, (*emptying.columns, *PLACE)):
            wanted = pa.array([name == found.id for name in emptying.wanted(keys)], pa.bool_())
            names.update(row_names(keys.filter(wanted)))
        return names

    def late(self, found: Erasure) -> bool:
        """Whether a writer that did not know of it yet has added rows of the subject since."""
        known = found.report["rows"]
        table, _ = DeltaLedgerReader(self._place).identity()
        among = None
        if table == known["table"]:
            try:
                among = ledger.fresh(self._place, known["version"])
            except LogExpired:
                among = None
        emptying = self._emptying(found)
        files = ledger.keys(self._place, emptying.columns, among)
        return any(map(emptying.concerns, files))

    def _report(self, found: Erasure, deleted: int) -> dict[str, Any]:
        done = ledger.erased(self._place, found.id)
        table, version = DeltaLedgerReader(self._place).identity()
        earlier = found.report.get("rows", {}).get("deleted", 0)
        return {
            "rows": {
                "emptied": dict(sorted(done.rows.items())),
                "files": dict(sorted(done.files.items())),
                "deleted": deleted + earlier,
                "table": table,
                "version": version,
            }
        }

    def _emptying(self, found: Erasure, runs: Iterable[tuple[str, str]] = ()) -> Emptying:
        """By this erasure and those that were done before; `runs` are not on record yet."""

        def read(connection: Any) -> Emptying:
            known = [
                one
                for one in erasures.every(connection)
                if one.id != found.id and one.state is ErasureState.CERTIFIED
            ]
            return Emptying(ErasureIndex([*known, found], [*erasures.runs(connection), *runs]))

        return self._database.read(read)

    def _note_runs(self, found: Erasure) -> None:
        """Before they are emptied: afterwards nobody can tell whose they were."""
        self._database.write(partial(erasures.add_runs, runs=self._runs(found)))
        self._fault("runs_noted")

    def _runs(self, found: Erasure) -> list[tuple[str, str]]:
        """The runs that are emptied, as `erasures.add_runs` takes them."""
        emptying = self._emptying(found)
        runs: set[tuple[str, str]] = set()
        named: set[str] = set()
        for keys in ledger.keys(self._place, emptying.columns):
            runs.update(emptying.runs(keys))
            named |= spoken_of(keys)
        return sorted(
            (run, name) for run, name in runs if run in named or not emptying.of_source(name)
        )

    def _empty(self, day: str, emptying: Emptying) -> None:
        for attempt in itertools.count(1):
            try:
                ledger.empty(self._place, day, emptying, self._fault)
            except NotReady:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return
