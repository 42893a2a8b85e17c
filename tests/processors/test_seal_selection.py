"""Which runs may become examples: window, offsets, dispositions, erasures, tools."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from schemas.datasets import Recipe
from schemas.events import PLAN
from schemas.rows import Disposition, Row
from tests.processors.small import (
    OFFSETS,
    answer,
    changed,
    decided,
    edited,
    forget,
    names,
    prompt,
    run,
    said,
    sealed,
    user,
)
from tests.processors.window import RECIPE, SealedWindow
from tests.sealing import seal
from tests.support import NOW, TOOLS, call

NEW_TOOLS = [TOOLS[0], {"name": "pay"}]


def test_a_run_becomes_an_example_up_to_its_last_answer() -> None:
    turns = [user("a"), answer(call("book", to="x")), {"role": "tool", "content": "ok"}]
    (example,) = sealed([run(1, *turns, domain="rail", session="s")]).examples
    assert example.messages == tuple(turns[:2])
    assert example.tools == tuple(TOOLS)
    assert (example.kind, example.weight, example.label_row) == ("run", 1.0, None)
    assert (example.row_id, example.task, example.domain) == (
        "c:execution.completed:0:1",
        "task-1",
        "rail",
    )


def test_rows_at_and_beyond_the_offsets_are_not_there() -> None:
    rows = [run(n) for n in range(5)]
    offsets = {"c:execution.completed:0": 3}
    assert names(seal(rows, Recipe(), offsets)) == [0, 1, 2]
    assert names(seal(rows, Recipe(), {})) == []
    late = [edited(2, 0, "late"), said(3, 1, value=-1.0)]
    found = seal([*rows, *late], Recipe(), {**offsets, "c:feedback.received:0": 2})
    assert found == seal(rows, Recipe(), offsets)


def test_the_window_reaches_back_from_the_newest_run() -> None:
    rows = [run(n, event_time=NOW - timedelta(days=n)) for n in (0, 29, 30, 31)]
    assert names(sealed(rows)) == [0, 29, 30]
    assert names(sealed(rows, window_days=29)) == [0, 29]
    assert sealed(rows).dropped == {"outside_window": 1}
    assert names(sealed(rows[1:], window_days=1.5)) == [29, 30]


def test_since_replaces_the_window() -> None:
    rows = [run(n, event_time=NOW - timedelta(days=n)) for n in (0, 29, 300)]
    assert names(sealed(rows, since=NOW - timedelta(days=300))) == [0, 29, 300]
    assert names(sealed(rows, since=NOW - timedelta(days=28))) == [0]


@pytest.mark.parametrize("disposition", Disposition)
def test_only_accepted_runs_are_sealed(disposition: Disposition) -> None:
    found = sealed([run(1), run(2, disposition=disposition)])
    assert names(found) == ([1, 2] if disposition is Disposition.ACCEPTED else [1])


def test_duplicates_and_dead_letters_are_never_sealed_whatever_people_say(
    window: SealedWindow,
) -> None:
    for disposition in (Disposition.DUPLICATE, Disposition.DEAD_LETTER):
        rows = [run(1, disposition=disposition), decided(1, 1, "accept"), edited(2, 1, "right")]
        assert names(sealed(rows)) == []
    bad = {r.row_id for r in window.rows if r.disposition in ("duplicate", "dead_letter")}
    assert len(bad) > 10
    assert not bad & {example.row_id for example in window.sealed.examples}


@pytest.mark.parametrize(
    ("facts", "recipe", "reason"),
    [
        ({"quality": 69.0}, {}, "low_quality"),
        ({"quality": 94.0}, {"min_quality": 95}, "low_quality"),
        ({"confidence": 0.59}, {}, "low_confidence"),
        ({"confidence": 0.8}, {"min_confidence": 0.9}, "low_confidence"),
        ({"arm": "shadow"}, {}, "shadow"),
        ({"content": None}, {}, "no_text"),
        ({"disposition": Disposition.REVIEW}, {}, "ingest_review"),
        ({"disposition": Disposition.REJECTED}, {}, "ingest_rejected"),
    ],
    ids=str,
)
def test_each_refusal_has_its_reason(facts: Any, recipe: Any, reason: str) -> None:
    good = [run(1, quality=99.0, confidence=0.95), run(3, quality=None, confidence=None)]
    found = sealed([*good, run(2, **facts)], **recipe)
    assert names(found) == [1, 3]
    assert found.dropped == {reason: 1}


@pytest.mark.parametrize(
    "turns",
    [
        [user("a")],
        [answer(call())],
        [{"role": "system", "content": "s"}, user("a")],
        [{"role": "system", "content": "s"}, answer(content="hello"), user("a")],
    ],
    ids=["question", "answer", "no answer", "greeting"],
)
def test_a_run_without_question_or_answer_teaches_nothing(turns: list[dict[str, Any]]) -> None:
    assert sealed([run(1, *turns)]).dropped == {"no_answer": 1}


@pytest.mark.parametrize("tools", [None, []], ids=str)
def test_a_run_without_tools_is_sealed_only_if_the_recipe_says_so(tools: Any) -> None:
    rows = [run(1, tools=tools, tools_digest="stated")]
    assert sealed(rows).dropped == {"no_tools": 1}
    assert names(sealed(rows, require_tools=False)) == [1]


def test_calls_of_tools_that_are_gone_are_left_out() -> None:
    newer = NOW + timedelta(hours=1)
    stale = run(1, user(prompt(1)), answer(call("book")), agent="a", domain="rail")
    kept = run(2, user(prompt(2)), answer(call("search")), agent="a", domain="rail")
    other = [changed(stale, offset=n, id=f"e{n}", content=run(n).content) for n in (3, 4)]
    others = [changed(other[0], agent="b"), changed(other[1], domain="air")]
    newest = run(5, user(prompt(5)), answer(call("pay")), tools=NEW_TOOLS, agent="a", domain="rail")
    found = sealed([stale, kept, *others, changed(newest, event_time=newer)])
    assert names(found) == [2, 3, 4, 5]
    assert found.dropped == {"stale_tools": 1}


def planned(number: int, offset: int, **changes: Any) -> Row:
    """A plan of the same goal as a run."""
    content = json.dumps({"goal": prompt(number), "steps": [{"id": "a", "tool": "search"}]})
    facts = {
        "type": PLAN,
        "plan_id": f"plan-{number}",
        "run_id": f"plan-{number}",
        "quality": 100.0,
    }
    facts |= {"quality_parts": '{"outcome":1.0}', "content": content, "id": f"plan-event-{offset}"}
    return changed(run(number), offset=offset, **{**facts, **changes})


def test_a_plan_is_an_example_unless_its_run_is_there() -> None:
    """However good it looks, and however the run ended: the run shows what came of it."""
    rows = [run(1, plan_id="plan-1"), planned(1, 11), planned(2, 12)]
    found = sealed(rows)
    assert names(found) == [1, 12]
    assert found.dropped == {"carried_out": 1}
    failed = sealed([run(1, plan_id="plan-1", quality=0.0), planned(1, 11), run(3)])
    assert names(failed) == [3]
    assert failed.dropped == {"carried_out": 1, "low_quality": 1}
    shadow = sealed([run(1, plan_id="plan-1", arm="shadow"), planned(1, 11)])
    assert names(shadow) == [11], "nobody saw that run"
    other = sealed([run(1, plan_id="plan-1", source="urn:other"), planned(1, 11)])
    assert names(other) == [1]
    assert other.dropped == {"exact_duplicate": 1}, "a run goes before a plan for the same goal"


def test_an_accepted_plan_is_an_example_beside_its_run() -> None:
    rows = [run(1, plan_id="plan-1", quality=0.0), planned(1, 11)]
    word = said(20, 1, "decision", status="accept", author_role="reviewer", target_run="plan-1")
    assert names(sealed([*rows, run(3), word])) == [3, 11]


def test_a_plan_is_no_worse_answer_of_a_run() -> None:
    rows = [run(1), planned(1, 11, quality=5.0), planned(1, 12, plan_id="p", run_id="p")]
    assert [(p.chosen_row, p.rejected_row) for p in sealed(rows).pairs] == []
    rows = [
        planned(1, 11, quality=5.0),
        planned(
            1,
            12,
            plan_id="p",
            run_id="p",
            content=json.dumps({"goal": prompt(1), "steps": [{"id": "b", "tool": "book"}]}),
        ),
    ]
    assert len(sealed(rows).pairs) == 1


@pytest.mark.parametrize(
    "tool", [{"function": "x"}, {"name": "x"}, {}, {"function": None}], ids=str
)
def test_tools_of_any_shape_stop_no_seal(tool: dict[str, Any]) -> None:
    rows = [run(1, user("a"), answer(content="no call"), tools=[tool])]
    assert names(sealed(rows)) == [1]


SUBJECTS: list[dict[str, Any]] = [
    {"user": "u"},
    {"session": "s"},
    {"source": "urn:a"},
    {"source": "urn:a", "execution_id": "run-1"},
    {"source": "urn:a", "plan_id": "p"},
]


@pytest.mark.parametrize("subject", SUBJECTS, ids=str)
def test_what_was_erased_is_not_sealed_whenever_the_erasure_came(subject: Any) -> None:
    named = run(1, user="u", session="s", source="urn:a", plan_id="p")
    rows = [named, run(2), forget(0, **subject)]
    for when in (NOW - timedelta(days=99), NOW + timedelta(days=99)):
        found = sealed([*rows[:2], changed(rows[2], event_time=when), edited(1, 1, "corrected")])
        assert names(found) == [2]
        assert found.dropped == {"erased": 1}
    assert names(sealed([*rows[:2], forget(0, "other", **subject)])) == [1, 2]
    assert names(sealed([*rows[:2], changed(rows[2], disposition=Disposition.REVIEW)])) == [1, 2]
    nearly = {name: f"{value}x" for name, value in subject.items()}
    assert names(sealed([*rows[:2], forget(0, **nearly)])) == [1, 2]


def test_a_correction_from_an_erased_source_is_erased_too() -> None:
    rows = [run(1), edited(0, 1, "right", source="urn:a"), forget(1, source="urn:a")]
    assert sealed(rows[:2]).examples[0].label_row is not None
    (example,) = sealed(rows).examples
    assert (example.kind, example.label_row) == ("run", None)


def test_erased_users_are_not_in_the_window_s_dataset(window: SealedWindow) -> None:
    runs = {f"run-{4 * person + n}" for person in range(0, 100, 10) for n in range(4)}
    hidden = {row.user for row in window.rows if row.run_id in runs}
    assert len(hidden) == 10
    assert not hidden & {example.user for example in window.sealed.examples}


def test_the_same_event_in_two_partitions_is_one() -> None:
    twin = run(7, partition=1, id="event-1", source="urn:test")
    found = sealed([twin, run(1)])
    assert names(found) == [1]
    assert found.dropped == {"duplicate_across_partitions": 1}
    assert names(sealed([changed(twin, source="urn:b"), run(1)])) == [1, 7]
    assert names(sealed([changed(twin, id="event-7"), run(1)])) == [1, 7]


def test_at_most_so_many_examples_are_kept_by_a_seeded_choice(window: SealedWindow) -> None:
    recipe = RECIPE.model_copy(update={"max_examples": 500})
    found = seal(window.rows, recipe, window.offsets)
    assert 450 < len(found.examples) <= 500  # its shares are kept too
    every = {example.row_id for example in window.sealed.examples}
    assert {example.row_id for example in found.examples} < every
    assert found.dropped["over_max_examples"] == len(every) - 500
    other = seal(window.rows, recipe.model_copy(update={"seed": 1}), window.offsets)
    assert {e.row_id for e in other.examples} != {e.row_id for e in found.examples}


def test_nothing_in_gives_nothing_out() -> None:
    assert sealed([]).examples == ()
    assert seal([], Recipe(), OFFSETS).dropped == {}
