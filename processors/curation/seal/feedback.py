"""Feedback joined to its run: edits become answers, thumbs and scores become weights.

Per author and kind the last counts (greatest event time, then topic, partition, offset). Of several
edits the expert's goes before the reviewer's, the judge's and the user's; then the later one. Only experts
and reviewers decide. What an author claims to be is believed of a trusted source alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from processors.curation.policy import TRUSTED
from schemas.rows import Disposition, Row

_USER, _JUDGE = "user", "judge"
DECIDING = ("reviewer", "expert")
"""The roles whose edit or decision goes before any threshold."""
_ROLES = (_USER, _JUDGE, *DECIDING)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What people and judges said of one run.

    `edit` is the answer in place of the run's; `decision` is accept or reject, of an expert or a reviewer.
    `reward` is the mean of what people gave, −1…1; `words` are those of judges, (name, 0–1): what they are
    worth is measured first (`processors.curation.judges`).
    """

    edit: Row | None = None
    reward: float | None = None
    decision: str | None = None
    words: tuple[tuple[str, float], ...] = ()

    @property
    def settled(self) -> bool:
        """Whether somebody who may decide has mended or decided it."""
        return self.decision is not None or (self.edit is not None and _decides(self.edit))


NOTHING = Feedback()


class FeedbackIndex:
    """All feedback of a window, by (tenant, run), in the order in which it counts."""

    def __init__(self, by_run: Mapping[tuple[str | None, str | None], list[Row]]) -> None:
        self._by_run = by_run

    def about(self, tenant: str | None, run_id: str | None, source: str | None) -> Feedback:
        """What was said of a run; feedback that names another source is not about it."""
        said = self._by_run.get((tenant, run_id))
        if said is None:
            return NOTHING
        # Nobody takes back what an expert said by a namesake's word.
        last = {
            (row.author, row.feedback, _decides(row)): row
            for row in said
            if row.target_source in (None, source)
        }
        rows = sorted(last.values(), key=_when)
        decision = _decision(rows)
        given = [row for row in rows if row.value is not None]
        rewards = [_signed(row) for row in given if row.author_role != _JUDGE]
        words = [
            (row.author or "", (_signed(row) + 1) / 2) for row in given if row.author_role == _JUDGE
        ]
        return Feedback(
            edit=_edit(rows, decision),
            reward=sum(rewards) / len(rewards) if rewards else None,
            decision=decision,
            words=tuple(sorted(words)),
        )

    def judged(self) -> set[tuple[str | None, str | None]]:
        """(tenant, run) of all that a judge gave a value."""
        return {
            run
            for run, said in self._by_run.items()
            if any(row.author_role == _JUDGE and row.value is not None for row in said)
        }


def collect_feedback(rows: Iterable[Row]) -> FeedbackIndex:
    """Index accepted feedback, with the roles that are believed; the last of each author and kind counts."""
    by_run: dict[tuple[str | None, str | None], list[Row]] = {}
    for row in sorted(rows, key=_when):
        role = _believed(row)
        if row.disposition is Disposition.ACCEPTED and row.target_run is not None and role:
            by_run.setdefault((row.tenant, row.target_run), []).append(
                row if role == row.author_role else row._replace(author_role=role)
            )
    return FeedbackIndex(by_run)


def _believed(row: Row) -> str | None:
    """Who speaks. A source that is not trusted speaks for users alone: its experts are users.

    Its judges are nobody: a judge's word is worth what it was measured to be, and a name is soon borrowed.
    """
    if row.trust in TRUSTED:
        return row.author_role or _USER
    return None if row.author_role == _JUDGE else _USER


def _decides(row: Row) -> bool:
    return row.author_role in DECIDING


def _decision(rows: Sequence[Row]) -> str | None:
    """The last one of those who may decide."""
    found = [row for row in rows if row.feedback == "decision" and _decides(row)]
    return max(found, key=_when).status if found else None


def _edit(rows: Sequence[Row], decision: str | None) -> Row | None:
    """The edit that counts. A run that was accepted is learned as it is, or as an expert or a reviewer mended it."""
    found = [
        row for row in rows if row.feedback == "edit" and (_decides(row) or decision != "accept")
    ]
    return max(found, key=_standing) if found else None


def _standing(row: Row) -> tuple[int, tuple[float, str, int, int]]:
    return _ROLES.index(row.author_role or _USER), _when(row)


def _when(row: Row) -> tuple[float, str, int, int]:
    moment = row.event_time.timestamp() if row.event_time else 0.0
    return moment, row.topic, row.partition, row.offset


def _signed(row: Row) -> float:
    """Thumbs are ±1 already; a 0–1 score becomes −1…1."""
    value = row.value or 0.0
    return value if row.feedback == "thumb" else 2.0 * value - 1.0
