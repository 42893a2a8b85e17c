"""Retention: whole days of ingest are dropped, and what they counted to is kept.

The tally of a day's rows is written beside the table before the day is dropped, and named in the commit
that drops it as a transaction id, which outlives the log: a recount adds it to what the rows that are
left come to, so received = accepted + review + rejected + duplicate + dead_letter stays true.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from stores.ledger.commit import OWN, remove
from stores.ledger.damage import parsing
from stores.ledger.files import data_files, records, remove_action
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.table import open_table

RETIRE_STEPS = ("tally_written", "tally_synced", "committed", "log_synced")
"""The steps of dropping a day, in order; a fault hook is called after each."""
FOLDER = "_retired"
_RETIRED = f"{OWN}retired:"


class Retirement:
    """One day of ingest, as it is when this is made."""

    def __init__(self, place: Place, day: str, fault: Fault = no_fault) -> None:
        self._place = place
        self._fault = fault
        self._day = day
        self._table = open_table(place)
        self._files = [file for file in data_files(self._table) if file.day == day]

    def rows(self, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """The day's rows, file by file."""
        return itertools.chain.from_iterable(self._records(f.name, columns) for f in self._files)

    def _records(self, name: str, columns: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        with parsing(self._place, name):
            return records(self._place, name, columns)

    def drop(self, tally: pa.Table) -> None:
        """Drop the day and keep its tally. Raises NotReady(LEDGER_FENCED) if files were removed meanwhile."""
        name = f"{FOLDER}/{self._day}-{uuid.uuid4()}.parquet"
        self._place.write(name, tally)
        self._fault("tally_written")
        self._place.sync([name])
        self._fault("tally_synced")
        actions = [remove_action(file, data_change=True) for file in self._files]
        remove(self._table, self._place, actions, self._fault, {f"{_RETIRED}{name}": 1})


def days_before(place: Place, day: str) -> list[str]:
    """Days of ingest that the ledger holds rows of and that lie before one (ISO dates), in order."""
    return sorted({file.day for file in data_files(open_table(place)) if file.day < day})


def retired_of(transactions: Iterable[str]) -> list[str]:
    """The files of the tallies among transaction ids."""
    return sorted(t.removeprefix(_RETIRED) for t in transactions if t.startswith(_RETIRED))
