"""Feedback joined to its run: edits become answers, thumbs and scores become weights.

Per author and kind the last counts (greatest event time, then topic, partition, offset). Of several
edits the expert's goes before the reviewer's, the judge's and the user's; then the later one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.rows import Disposition, Row

_JUDGE = "judge"
_ROLES = ("user", _JUDGE, "reviewer", "expert")


@dataclass(frozen=True, slots=True)
class Feedback:
    """What people and judges said of one run.

    `reward` is the mean of what people gave, −1…1; `words` are those of judges, (name, 0–1): what they are
    worth is measured first (`processors.curation.judges`).
    """

    edit: Row | None = None
    reward: float | None = None
    decision: str | None = None
    words: tuple[tuple[str, float], ...] = ()


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
        last = {
            (row.author, row.feedback): row for row in said if row.target_source in (None, source)
        }
        rows = sorted(last.values(), key=_when)
        if not rows:
            return Feedback()
        edits = [row for row in rows if row.feedback == "edit"]
        decisions = [row for row in rows if row.feedback == "decision"]
        given = [row for row in rows if row.value is not None]
        rewards = [_signed(row) for row in given if row.author_role != _JUDGE]
        words = [
            (row.author or "", (_signed(row) + 1) / 2) for row in given if row.author_role == _JUDGE
        ]
        return Feedback(
            edit=max(edits, key=lambda row: (_ROLES.index(row.author_role or "user"), _when(row)))
            if edits
            else None,
            reward=sum(rewards) / len(rewards) if rewards else None,
            decision=max(decisions, key=_when).status if decisions else None,
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
    """Index accepted feedback; the last of each author and kind on a run counts."""
    by_run: dict[tuple[str | None, str | None], list[Row]] = {}
    for row in sorted(rows, key=_when):
        if row.disposition is Disposition.ACCEPTED and row.target_run is not None:
            by_run.setdefault((row.tenant, row.target_run), []).append(row)
    return FeedbackIndex(by_run)


def _when(row: Row) -> tuple[float, str, int, int]:
    moment = row.event_time.timestamp() if row.event_time else 0.0
    return moment, row.topic, row.partition, row.offset


def _signed(row: Row) -> float:
    """Thumbs are ±1 already; a 0–1 score becomes −1…1."""
    value = row.value or 0.0
    return value if row.feedback == "thumb" else 2.0 * value - 1.0
