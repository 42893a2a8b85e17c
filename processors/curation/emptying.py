"""The same as `erasures`, on a ledger file's columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.erasures import KEPT, KEYS, ErasureIndex, Mark, outcome, run_keys
from schemas.rows import Disposition


class Emptied(NamedTuple):
    """A table without what was erased, how many rows that emptied, by erasure, and none if nothing was."""

    table: pa.Table
    rows: Counter[str]


class Emptying:
    """Empties the rows of an index's subjects."""

    columns = KEYS

    def __init__(self, index: ErasureIndex) -> None:
        self._index = index

    def concerns(self, keys: pa.Table) -> bool:
        """Whether rows with these `KEYS` are of a subject, and not known to be empty already."""
        return any(name is not None for name in self.wanted(keys))

    def wanted(self, keys: pa.Table) -> Iterator[str | None]:
        """The erasure that empties each row with these `KEYS`; None for one that stays, or is empty already."""
        columns = _lists(keys)
        said = zip(columns["disposition"], columns["reasons"], _telling(columns), strict=True)
        for mark, rest in zip(self._index.marks(columns), said, strict=True):
            yield mark.erasure if mark is not None and not _is_empty(mark, *rest) else None

    def runs(self, keys: pa.Table) -> list[tuple[str, str]]:
        """(`run_keys`, erasure) of each run that is of a subject."""
        columns = _lists(keys)
        runs = zip(*(columns[name] for name in ("tenant", "source", "run_id")), strict=True)
        return [
            (key, mark.erasure)
            for mark, (tenant, source, run) in zip(self._index.marks(columns), runs, strict=True)
            if mark is not None and run is not None
            for key in run_keys(tenant, source, run)
        ]

    def of_source(self, erasure: str) -> bool:
        """Whether an erasure is of a whole source."""
        return erasure in self._index.sources

    def __call__(self, rows: pa.Table) -> Emptied:
        """Empty what is to be emptied; the rows, their order and the columns stay."""
        columns = _lists(rows.select([name for name in KEYS if name in rows.column_names]))
        marks = self._index.marks(columns)
        said = zip(columns["disposition"], columns["reasons"], _says_more(rows), strict=True)
        wanted = np.fromiter(
            (
                mark is not None and not _is_empty(mark, *rest)
                for mark, rest in zip(marks, said, strict=True)
            ),
            np.bool_,
            rows.num_rows,
        )
        counts = Counter(
            mark.erasure for mark, found in zip(marks, wanted, strict=True) if found and mark
        )
        return Emptied(_without(rows, wanted, marks, columns) if counts else rows, counts)


def spoken_of(keys: pa.Table) -> set[str]:
    """The runs that feedback among rows with these `KEYS` names without their source, as digests."""
    columns = _lists(keys)
    targets = zip(
        *(columns[name] for name in ("tenant", "target_source", "target_run")), strict=True
    )
    return {
        run_keys(tenant, None, run)[0] for tenant, source, run in targets if run and source is None
    }


def _is_empty(mark: Mark, disposition: str, reasons: Sequence[str] | None, more: Any) -> bool:
    """Whether a row is what emptying makes of it; `more` says that it holds what it would not."""
    if more:
        return False
    return outcome(Disposition(disposition), reasons, mark) == (disposition, tuple(reasons or ()))


def _telling(columns: Mapping[str, Sequence[Any]]) -> list[bool]:
    """Whether rows hold anything that an emptied one does not, as far as `KEYS` tell."""
    more = [columns[name] for name in KEYS if name not in KEPT]
    return [any(value is not None for value in values) for values in zip(*more, strict=True)]


def _says_more(rows: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Rows with anything in a column that an emptied row does not keep."""
    found = np.zeros(rows.num_rows, np.bool_)
    for name in rows.column_names:
        if name not in KEPT:
            found |= pc.is_valid(rows[name]).to_numpy()
    return found


def _without(
    rows: pa.Table,
    wanted: np.ndarray[Any, np.dtype[np.bool_]],
    marks: Sequence[Mark | None],
    columns: dict[str, list[Any]],
) -> pa.Table:
    outcomes = [
        outcome(Disposition(disposition), reasons, mark)
        if mark is not None and found
        else (disposition, reasons)
        for mark, found, disposition, reasons in zip(
            marks, wanted, columns["disposition"], columns["reasons"], strict=True
        )
    ]
    mask = pa.array(wanted)
    for place, field in enumerate(rows.schema):
        if field.name == "disposition":
            column = pa.array([str(one) for one, _ in outcomes], field.type)
        elif field.name == "reasons":
            column = pa.array([why for _, why in outcomes], field.type)
        elif field.name in KEPT:
            continue
        else:
            column = pc.if_else(mask, pa.scalar(None, field.type), rows[field.name])
        rows = rows.set_column(place, field, column)
    return rows


def _lists(table: pa.Table) -> dict[str, list[Any]]:
    """Columns as lists; those that came after the file was written are null."""
    found = {name: table[name].to_pylist() for name in table.column_names}
    return {name: found.get(name, [None] * table.num_rows) for name in KEYS}
