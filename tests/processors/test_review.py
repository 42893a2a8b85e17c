"""The queue: what waits, in which order, and what nobody has to decide any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from processors.curation.review import COLUMNS, Waiting, waiting
from processors.curation.seal.feedback import collect_feedback
from schemas.rows import Row
from stores.ledger.schema import to_table
from tests.reviewing import body, curated, doubtful
from tests.support import NOW, edit, execution, plan, thumb

SCORES = ("score", "quality", "confidence", "diversity", "informativeness")


def fates(*said: dict[str, Any]) -> pa.Table:
    """What a seal decided about rows: `DatasetStore.fates`."""
    names = ("row_id", "selection", "reason", "level")
    columns = {name: pa.array([one.get(name) for one in said], pa.string()) for name in names}
    numbers = {name: pa.array([one.get(name) for one in said], pa.float64()) for name in SCORES}
    return pa.table({**columns, **numbers})


def queue(rows: list[Row], outcome: pa.Table | None = None, **more: Any) -> list[Waiting]:
    """The queue of rows among which feedback may be."""
    runs = to_table([row for row in rows if row.type != "feedback.received"]).select(COLUMNS)
    said = [row for row in rows if row.type == "feedback.received"]
    known = {"since": None, "erasures": (), **more}
    return waiting(runs, outcome, collect_feedback(said), **known)


def names(found: list[Waiting]) -> list[str]:
    return [one.run_id for one in found]


def test_what_ingest_left_waits_newest_first_with_what_is_known_of_it() -> None:
    old = body(doubtful("old"), time=(NOW - timedelta(days=1)).isoformat())
    goal = plan(plan_id="plan", confidence=0.2, domain="rail")
    events = [old, body(execution()), body(doubtful("new")), body(goal)]
    found = queue(curated(events))
    assert names(found) == ["new", "plan", "old"]
    new, planned, _ = found
    assert (new.reason, new.reasons) == ("ingest_review", ("low_confidence",))
    assert new.scores == {"quality": 100.0, "confidence": 0.3}
    assert new.parts == {"outcome": 1.0, "health": 1.0}
    assert new.row_id == "c:execution.completed:0:2"
    assert (planned.plan, planned.domain, new.plan) == (True, "rail", False)


def test_what_the_last_seal_doubted_waits_and_what_it_settled_does_not() -> None:
    at_sea = execution(execution_id="accepted", task={"prompt": "sail", "domain": "sea"})
    rows = curated([body(at_sea), body(doubtful("settled"))])
    rows += curated([body(doubtful("since"))], {"execution.completed": 2})
    doubted, settled, _ = (row.row_id for row in rows)
    said = {"selection": "REVIEW", "reason": "low_score", "score": 31.5, "level": "hard"}
    outcome = fates(
        {"row_id": doubted, **said},
        {"row_id": settled, "selection": "REJECT", "reason": "no_tools"},
        {"row_id": "c:execution.completed:0:99", "selection": "REVIEW", "reason": "outlier"},
    )
    found = {one.run_id: one for one in queue(rows, outcome)}
    assert set(found) == {"accepted", "since"}
    one = found["accepted"]
    assert (one.reason, one.level, one.domain) == ("low_score", "hard", "sea")
    assert one.scores == {"score": 31.5, "quality": 100.0, "confidence": 0.9}


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        (thumb("r", "accept", kind="decision", author_role="reviewer"), False),
        (thumb("r", "reject", kind="decision", author_role="reviewer"), False),
        (edit("r", []), False),
        (edit("r", [], author_role="user"), True),
        (thumb("r", "accept", kind="decision"), True),
        (thumb("r", -1), False),
        (thumb("r"), True),
        (thumb("other", "accept", kind="decision", author_role="reviewer"), True),
        ({**edit("r", []), "target": {"execution_id": "r", "source": "urn:other"}}, True),
        ({**edit("r", []), "tenant_id": "another"}, True),
    ],
    ids=str,
)
def test_what_people_have_decided_does_not_wait(said: dict[str, Any], waits: object) -> None:
    events = [body(doubtful("r")), body(said)]
    assert bool(queue(curated(events))) is waits
    outcome = fates({"row_id": "c:execution.completed:0:0", "selection": "REVIEW"})
    assert bool(queue(curated(events), outcome)) is waits


def test_who_is_to_be_forgotten_is_not_shown() -> None:
    rows = curated([body(doubtful("a", user_id="u")), body(doubtful("b"))])
    user = f'{{"user":"{rows[0].user}"}}'
    assert names(queue(rows, erasures=[("default", user)])) == ["b"]
    assert len(queue(rows, erasures=[("another", user)])) == 2


def test_what_lies_before_the_window_does_not_wait() -> None:
    rows = curated([body(doubtful("a")), body(doubtful("b"))])
    assert names(queue(rows, since=NOW)) == ["a", "b"]
    assert queue(rows, since=NOW + timedelta(seconds=1)) == []


def test_a_run_waits_once_however_often_it_was_reported() -> None:
    events = [body(doubtful("r")), body(doubtful("r")), body(doubtful("r"), source="urn:else")]
    assert names(queue(curated(events))) == ["r", "r"]


def test_rows_without_text_are_not_for_people() -> None:
    (row,) = curated([body(doubtful("r"))])
    for reason in ("redaction_failed", "redaction_incomplete"):
        assert queue([row._replace(content=None, reasons=(reason, "x"))]) == []
    assert queue([row])


def test_what_could_not_be_learned_whatever_people_say_does_not_wait() -> None:
    goal = plan(plan_id="plan", confidence=0.2)
    rows = curated([body(doubtful("a")), body(doubtful("bare", tools=None)), body(goal)])
    assert names(queue(rows, require_tools=True)) == ["a", "plan"]
    assert len(queue(rows)) == 3


def test_an_empty_ledger_has_an_empty_queue() -> None:
    assert queue([]) == []
    assert queue([], fates()) == []
    assert queue([], fates({"row_id": "c:execution.completed:0:0", "selection": "REVIEW"})) == []
