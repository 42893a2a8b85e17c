"""Feedback at the seal: who counts, which of it counts, and what it does to an example."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest

from schemas.rows import Disposition
from tests.processors.small import (
    answer,
    changed,
    decided,
    edited,
    names,
    only,
    run,
    said,
    sealed,
    user,
)
from tests.support import NOW, call

ROLES = ["user", "judge", "reviewer", "expert"]
POOR = {"disposition": Disposition.REJECTED, "quality": 25.0, "success": False}


def text(rows: list[Any]) -> str:
    return str(only(rows).messages[-1]["content"])


@pytest.mark.parametrize(("lower", "higher"), combinations(ROLES, 2))
def test_the_higher_role_s_edit_is_the_answer_even_if_it_came_first(
    lower: str, higher: str
) -> None:
    rows = [run(1), edited(1, 1, "higher", higher), edited(2, 1, "lower", lower)]
    assert text(rows) == "higher"
    example = only(rows)
    assert (example.kind, example.label_row) == ("correction", "c:feedback.received:0:1")


def test_within_a_role_the_later_edit_counts() -> None:
    rows = [run(1), edited(5, 1, "first", author="a"), edited(9, 1, "second", author="b")]
    assert text(rows) == "second"


def test_the_last_of_an_author_counts_by_event_time_not_by_arrival() -> None:
    early = edited(9, 1, "early", event_time=NOW - timedelta(days=1))
    assert text([run(1), early, edited(3, 1, "late")]) == "late"
    assert text([run(1), edited(3, 1, "late"), changed(early, event_time=NOW)]) == "late"


def test_ties_are_broken_by_partition_and_offset() -> None:
    places = [("a", 3, 0), ("b", 4, 0), ("c", 1, 1)]
    rows = [edited(n, 1, word, partition=part, event_time=NOW) for word, n, part in places]
    for order in (rows, rows[::-1]):
        assert text([run(1), *order]) == "c"
        assert text([run(1), *(row for row in order if not row.partition)]) == "b"


def test_an_author_changes_a_mind_with_or_without_naming_the_source() -> None:
    first, second = said(1, 1, value=1.0), said(2, 1, value=-1.0, target_source="urn:test")
    assert sealed([run(1), first, second]).dropped == {"negative_feedback": 1}
    turned = [changed(second, offset=1, event_time=NOW), changed(first, offset=2)]
    turned[1] = changed(turned[1], event_time=NOW + timedelta(hours=1))
    assert only([run(1), *turned]).weight == 1.5


def test_kinds_and_authors_count_beside_each_other() -> None:
    rows = [
        run(1),
        said(1, 1, value=1.0),
        said(2, 1, "score", value=0.5),
        said(3, 1, value=1.0, author="cy"),
    ]
    assert only(rows).weight == pytest.approx(1 + 0.5 * (1 + 0 + 1) / 3)


@pytest.mark.parametrize(
    ("kind", "value", "weight"),
    [
        ("thumb", 1.0, 1.5),
        ("score", 1.0, 1.5),
        ("score", 0.9, 1.4),
        ("score", 0.5, 1.0),
        ("thumb", -1.0, None),
        ("score", 0.49, None),
        ("score", 0.0, None),
    ],
)
def test_rewards_are_weights_and_bad_ones_exclude(kind: str, value: float, weight: Any) -> None:
    found = sealed([run(1), said(1, 1, kind, value=value)])
    if weight is None:
        assert found.dropped == {"negative_feedback": 1}
    else:
        assert found.examples[0].weight == pytest.approx(weight)


def test_a_correction_of_a_bad_answer_is_kept_with_less_weight() -> None:
    rows = [run(1, disposition=Disposition.REJECTED, quality=3.0), said(1, 1, value=-1.0)]
    example = only([*rows, edited(2, 1, "right")])
    assert (example.kind, example.weight, example.quality) == ("correction", 0.5, 3.0)


@pytest.mark.parametrize(
    "facts",
    [
        {"disposition": Disposition.REVIEW},
        {"disposition": Disposition.DUPLICATE},
        {"tenant": "other"},
        {"target_source": "urn:other"},
        {"target_run": "run-2"},
    ],
    ids=str,
)
def test_feedback_that_is_not_about_the_run_or_not_trusted_says_nothing(facts: Any) -> None:
    for opinion in (edited(1, 1, "x", **facts), said(1, 1, value=-1.0, **facts)):
        assert only([run(1), opinion]) == only([run(1)])


def test_feedback_may_come_before_its_target_and_out_of_the_window() -> None:
    for days in (-400, 400):
        moment = NOW + timedelta(days=days)
        assert text([run(1), edited(1, 1, "right", event_time=moment)]) == "right"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"disposition": Disposition.REVIEW}, [1]),
        ({"disposition": Disposition.REJECTED}, [1]),
        ({"quality": 1.0}, [1]),
        ({"confidence": 0.1}, [1]),
        ({"content": None}, []),
        ({"arm": "shadow"}, []),
        ({"disposition": Disposition.DUPLICATE}, []),
    ],
    ids=str,
)
def test_an_accept_overrules_what_ingest_doubted_and_no_more(facts: Any, expected: Any) -> None:
    rows = [run(1, **facts), decided(1, 1, "accept")]
    assert names(sealed(rows)) == expected
    assert names(sealed(rows[:1])) == []


@pytest.mark.parametrize("role", ["user", "judge"])
def test_no_user_and_no_judge_goes_before_the_thresholds(role: str) -> None:
    words = [
        edited(1, 1, "x", role),
        decided(1, 1, "accept", author_role=role),
        edited(1, 1, "x", "expert", trust="external"),
        decided(1, 1, "accept", trust="external"),
    ]
    for word in words:
        assert sealed([run(1, **POOR), word]).dropped == {"ingest_rejected": 1}
        assert sealed([run(1, quality=25.0), word]).dropped == {"low_quality": 1}
        disliked = [run(1), said(2, 1, value=-1.0), word]
        assert sealed(disliked).dropped == {"negative_feedback": 1}


def test_a_user_s_edit_is_the_answer_of_a_run_that_is_good_by_itself() -> None:
    assert text([run(1), edited(1, 1, "mine", "user")]) == "mine"
    assert text([run(1), edited(1, 1, "theirs", "expert", trust="external")]) == "theirs"


def test_what_a_reviewer_accepted_is_learned_as_it_is() -> None:
    accepted = [run(1, user("what?"), answer(content="own"), **POOR), decided(1, 1, "accept")]
    assert text(accepted) == "own"
    assert text([*accepted, edited(2, 1, "a user's", "user")]) == "own"
    assert text([*accepted, edited(2, 1, "an expert's")]) == "an expert's"


@pytest.mark.parametrize("facts", [{"author_role": "user"}, {"trust": "external"}], ids=str)
def test_only_experts_and_reviewers_decide(facts: Any) -> None:
    refused = [run(1), decided(1, 1, "reject")]
    assert sealed([*refused, decided(2, 1, "accept", **facts)]).dropped == {"rejected_by_person": 1}
    assert names(sealed([run(1), decided(1, 1, "reject", **facts)])) == [1]


def test_a_namesake_in_a_source_that_is_not_trusted_takes_nothing_back() -> None:
    rows = [run(1), edited(1, 1, "right"), edited(2, 1, "wrong", trust="external")]
    assert text(rows) == "right"


@pytest.mark.parametrize("trust", ["external", "unknown", None])
def test_a_judge_is_believed_of_a_trusted_source_alone(trust: str | None) -> None:
    facts: Any = {"author_role": "judge", "trust": trust}
    assert only([run(1), said(1, 1, "score", value=0.0, **facts)]) == only([run(1)])


def test_a_reject_overrules_everything_and_the_last_decision_counts() -> None:
    rows = [run(1), edited(1, 1, "right"), said(2, 1, value=1.0), decided(3, 1, "reject")]
    assert sealed(rows).dropped == {"rejected_by_person": 1}
    again = decided(4, 1, "accept", author="cy")
    assert names(sealed([*rows, again])) == [1]
    assert names(sealed([*rows, changed(again, event_time=NOW)])) == []


TURNS = [user("a"), answer(call("search")), {"role": "tool", "content": "ok"}, answer(content="b")]


def test_an_edit_replaces_everything_from_the_first_answer_on() -> None:
    new = [answer(call("book")), {"role": "tool", "content": "booked"}, answer(content="done")]
    edit = edited(1, 1, "", content=json.dumps({"messages": new}))
    assert only([run(1, *TURNS), edit]).messages == (TURNS[0], *new)


def test_an_edit_may_bring_the_whole_conversation() -> None:
    new = [user("b"), answer(content="c"), user("thanks")]
    edit = edited(1, 1, "", content=json.dumps({"messages": new}))
    assert only([run(1, *TURNS), edit]).messages == tuple(new[:2])


@pytest.mark.parametrize(
    ("given", "expected"),
    [("text", "text"), ({"a": [1, None, "é"]}, '{"a": [1, null, "é"]}'), (True, "true"), (3, "3")],
    ids=str,
)
def test_an_edited_answer_is_text_or_json(given: Any, expected: str) -> None:
    edit = edited(1, 1, "", content=json.dumps({"answer": given}))
    assert only([run(1, *TURNS), edit]).messages == (TURNS[0], answer(content=expected))


def test_an_edit_without_an_answer_teaches_nothing() -> None:
    edit = edited(1, 1, "", content=json.dumps({"messages": [user("no idea")]}))
    assert sealed([run(1), edit]).dropped == {"no_answer": 1}
