"""Which rows are of erased subjects, and what is left of such a row.

A row that is emptied keeps where its record lies, its size and digest, its type, tenant, source and id: so
received = accepted + review + rejected + duplicate + dead_letter stays true, and an event that comes again is
still a duplicate. Everything else is gone. An event of the subject that comes later, or is read again,
becomes the same row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.erasures import MARKS, Erasure
from schemas.rows import Disposition, Row

KEPT = frozenset(
    {
        "cluster",
        "topic",
        "partition",
        "offset",
        "timestamp",
        "size",
        "digest",
        "disposition",
        "reasons",
        "error_code",
        "incarnation",
        "type",
        "tenant",
        "source",
        "id",
        "event_time",
        "time_source",
    }
)
"""What an emptied row still says."""
_SHAPES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("user",): ("tenant", "user"),
    ("session",): ("tenant", "session"),
    ("source",): ("tenant", "source"),
    ("source", "execution_id"): ("tenant", "source", "run_id"),
    ("source", "plan_id"): ("tenant", "source", "plan_id"),
    ("source", "event_id"): ("tenant", "source", "id"),
}
"""A subject's members, and the columns of a row that they are compared with."""
_OF_TARGETS = {
    ("source",): ("tenant", "target_source"),
    ("source", "execution_id"): ("tenant", "target_source", "target_run"),
    ("source", "plan_id"): ("tenant", "target_source", "target_run"),
}
"""What is said of a subject's run is about the subject too."""
KEYS = (
    "tenant",
    "user",
    "session",
    "source",
    "id",
    "run_id",
    "plan_id",
    "agent",
    "pii",
    "feedback",
    "target_source",
    "target_run",
    "disposition",
    "reasons",
)
"""The columns that tell whether a row is of a subject, and whether it is empty already: a run has its id, feedback
its kind, a sample and a gateway's answer an agent.
"""
STANDING = (Disposition.DUPLICATE, Disposition.DEAD_LETTER)
"""Dispositions that an emptied row keeps."""


class Mark(NamedTuple):
    """Why a row is emptied, and by which erasure. Of several the least counts, whatever came first."""

    reason: str
    erasure: str


def run_keys(tenant: str, source: str | None, run_id: str) -> tuple[str, str]:
    """What feedback may call a run, as digests: by its source, and without one."""
    return _run_key(tenant, source, run_id), _run_key(tenant, None, run_id)


def _run_key(tenant: str, source: str | None, run_id: str) -> str:
    return hashlib.sha256(f"{tenant}\0{source or ''}\0{run_id}".encode()).hexdigest()[:32]


class ErasureIndex:
    """Known erasures, for look-up. Immutable. About 0.3 µs a row for each shape that occurs."""

    def __init__(
        self, erasures: Iterable[Erasure] = (), runs: Iterable[tuple[str, str]] = ()
    ) -> None:
        """`runs` are pairs of a digest (`run_keys`) of a run that was emptied, and the erasure's id."""
        self._by: dict[tuple[str, ...], dict[tuple[Any, ...], Mark]] = {}
        self._findings: dict[tuple[str, str], Mark] = {}
        self.sources: set[str] = set()
        """The erasures of whole sources: their runs are many, and feedback mostly names the source."""
        reasons = {}
        for erasure in erasures:
            mark = Mark(erasure.kind.mark, erasure.id)
            reasons[erasure.id] = mark
            self._enter(erasure, mark)
        self._runs: dict[str, Mark] = {}
        for key, name in runs:
            if name in reasons:
                self._runs[key] = min(reasons[name], self._runs.get(key, reasons[name]))

    def __bool__(self) -> bool:
        """Whether anything was erased."""
        return bool(self._by or self._findings)

    def _enter(self, erasure: Erasure, mark: Mark) -> None:
        if "finding" in erasure.subject:
            key = (erasure.tenant, erasure.subject["finding"])
            self._findings[key] = min(mark, self._findings.get(key, mark))
            return
        if set(erasure.subject) == {"source"}:
            self.sources.add(erasure.id)
        shape = next(s for s in _SHAPES if set(s) == set(erasure.subject))
        values = (erasure.tenant, *(erasure.subject[name] for name in shape))
        for columns in filter(None, (_SHAPES[shape], _OF_TARGETS.get(shape))):
            known = self._by.setdefault(columns, {})
            known[values] = min(mark, known.get(values, mark))

    def marks(self, columns: Mapping[str, Sequence[Any]]) -> list[Mark | None]:
        """The mark of each row, given `KEYS` as columns of one length; an absent column is null."""
        length = len(columns["tenant"])
        found: list[Mark | None] = [None] * length
        for names, known in self._by.items():
            if all(name in columns for name in names):
                rows = zip(*(columns[name] for name in names), strict=True)
                _merge(found, map(known.get, rows))
        if self._findings and "pii" in columns:
            _merge(found, map(self._held, columns["tenant"], columns["pii"]))
        if self._runs and "target_run" in columns:
            targets = (columns[name] for name in ("tenant", "target_source", "target_run"))
            _merge(found, map(self._about, *targets))
        return [
            None if feedback == "erasure" or disposition == Disposition.DEAD_LETTER else mark
            for mark, feedback, disposition in zip(
                found,
                columns.get("feedback") or [None] * length,
                columns.get("disposition") or [None] * length,
                strict=True,
            )
        ]

    def _held(self, tenant: str | None, pii: str | None) -> Mark | None:
        if pii is None or tenant is None:
            return None
        names = (name for values in json.loads(pii).values() for name in values)
        return min(
            (self._findings[tenant, name] for name in names if (tenant, name) in self._findings),
            default=None,
        )

    def _about(self, tenant: str | None, source: str | None, run: str | None) -> Mark | None:
        if tenant is None or run is None:
            return None
        return self._runs.get(_run_key(tenant, source, run))

    def emptied(self, rows: Sequence[Row]) -> tuple[list[Row], list[tuple[str, str]]]:
        """The rows, those of erased subjects emptied; and (`run_keys`, erasure) of runs among these.

        Not those of whole sources.
        """
        if not self:
            return list(rows), []
        columns = {name: [getattr(row, name) for row in rows] for name in KEYS}
        marks = self.marks(columns)
        runs = [
            (key, mark.erasure)
            for row, mark in zip(rows, marks, strict=True)
            if mark and row.run_id and row.tenant and mark.erasure not in self.sources
            for key in run_keys(row.tenant, row.source, row.run_id)
        ]
        left = [_emptied(row, mark) if mark else row for row, mark in zip(rows, marks, strict=True)]
        return left, runs


def _emptied(row: Row, mark: Mark) -> Row:
    disposition, reasons = outcome(row.disposition, row.reasons, mark)
    kept = {name: getattr(row, name) for name in KEPT}
    return Row(**{**kept, "disposition": disposition, "reasons": reasons})


def outcome(
    disposition: Disposition, reasons: Sequence[str] | None, mark: Mark
) -> tuple[Disposition, tuple[str, ...]]:
    """Disposition and reasons of an emptied row."""
    if disposition in STANDING:
        return disposition, tuple(reasons or ())
    earlier = [one for one in reasons or () if one in MARKS.values()]
    return Disposition.REJECTED, (min([mark.reason, *earlier]),)


def _merge(found: list[Mark | None], more: Iterable[Mark | None]) -> None:
    for place, mark in enumerate(more):
        if mark is not None:
            known = found[place]
            found[place] = mark if known is None else min(mark, known)
