"""Preference pairs: one prompt, a better and a worse answer, and both in one part with all that they share."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.seal.pairs import Pairs, preference_pairs, worth
from schemas.datasets import Cap, GoldenCase, Pair, Recipe
from schemas.events import EXECUTION, PLAN
from schemas.rows import Disposition, Row
from tests.processors.small import (
    OFFSETS,
    answer,
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
from tests.processors.window import SealedWindow
from tests.sealing import choose_golden, seal
from tests.sealing import decided as decided_rows
from tests.support import TOOLS, call

ASKED = user(prompt(1))
line = st.fixed_dictionaries(
    {
        "prompt_digest": st.none() | st.sampled_from("pq"),
        "quality": st.none() | st.sampled_from([0.0, 20.0, 50.0, 90.0, 100.0]),
        "reward": st.none() | st.sampled_from([-1.0, 0.0, 1.0]),
        "decision": st.none() | st.sampled_from(["accept", "reject"]),
        "label": st.none() | st.just("edit"),
        "answer": st.sampled_from([b"a", b"b", b"c"]),
        "type": st.sampled_from([EXECUTION, PLAN]),
        "usable": st.booleans(),
        "good": st.booleans(),
    }
)
KINDS = {"quality": pa.float64(), "reward": pa.float64(), "answer": pa.binary()}


def table(lines: list[dict[str, Any]]) -> pa.Table:
    columns = ("type", "prompt_digest", "quality", "reward", "decision", "label", "answer")
    return pa.table(
        {
            n: pa.chunked_array([pa.array([x[n] for x in lines], KINDS.get(n, pa.string()))])
            for n in columns
        }
    )


def paired(lines: list[dict[str, Any]], least: float = 0.2, most: int = 4) -> Pairs:
    usable, good = (np.array([x[n] for x in lines], np.bool_) for n in ("usable", "good"))
    return preference_pairs(table(lines), usable, good, least, most)


def value(found: dict[str, Any]) -> float | None:
    """What an answer is worth, once more."""
    stated = None if found["quality"] is None else found["quality"] / 100
    given_ = None if found["reward"] is None else (found["reward"] + 1) / 2
    if found["decision"] == "reject":
        return 0.0
    known = [one for one in (stated, given_) if one is not None]
    return sum(known) / len(known) if known else None


@given(st.lists(line, max_size=14), st.sampled_from([0.0, 0.2, 0.7, 1.0]), st.integers(0, 3))
def test_what_a_pair_is(lines: list[dict[str, Any]], least: float, most: int) -> None:
    found = paired(lines, least, most)
    rows = list(zip(*(column.tolist() for column in found), strict=True))
    assert rows == sorted(rows)
    compared: dict[tuple[str, str], list[int]] = defaultdict(list)
    for better, worse, margin in rows:
        assert lines[better]["usable"] and lines[worse]["usable"] and lines[better]["good"]  # noqa: PT018
        if better == worse:
            assert (lines[better]["label"], margin) == ("edit", 1.0)
            continue
        high, low = value(lines[better]), value(lines[worse])
        assert high is not None
        assert low is not None
        assert margin == pytest.approx(high - low, abs=1e-6)
        assert margin >= least
        assert lines[better]["prompt_digest"] == lines[worse]["prompt_digest"] is not None
        assert lines[better]["type"] == lines[worse]["type"]
        assert lines[better]["answer"] != lines[worse]["answer"]
        assert lines[better]["label"] is lines[worse]["label"] is None
        compared[lines[better]["prompt_digest"], lines[better]["type"]] += [better, worse]
    for members in compared.values():
        assert len(members) == len(set(members)) <= 2 * most
    edits = {n for n, x in enumerate(lines) if x["label"] and x["usable"] and x["good"]}
    assert {better for better, worse, _ in rows if better == worse} == edits


@given(st.lists(line, max_size=14), st.sampled_from([0.0, 0.2, 0.7]))
def test_the_best_is_paired_with_the_worst(lines: list[dict[str, Any]], least: float) -> None:
    found = paired(lines, least)
    pairs = set(zip(found.chosen.tolist(), found.rejected.tolist(), strict=True))
    for asked, kind in product("pq", (EXECUTION, PLAN)):
        mine = [
            (value(x) or 0.0, n)
            for n, x in enumerate(lines)
            if (x["prompt_digest"], x["type"]) == (asked, kind)
            and x["usable"]
            and not x["label"]
            and value(x) is not None
        ]
        if len(mine) < 2:
            continue
        best = min(n for v, n in mine if v == max(mine)[0])
        worst = max(n for v, n in mine if v == min(mine)[0])
        margin = max(mine)[0] - min(mine)[0]
        apart = lines[best]["answer"] != lines[worst]["answer"] and margin >= least > 0
        assert ((best, worst) in pairs) >= (apart and lines[best]["good"])


def test_worth_is_nothing_for_what_a_person_rejected_and_unknown_for_what_nobody_knows() -> None:
    plain = {
        "prompt_digest": "p",
        "type": EXECUTION,
        "label": None,
        "answer": b"a",
        "quality": None,
        "reward": None,
        "decision": None,
    }
    lines = [
        {**plain, **c}
        for c in (
            {},
            {"decision": "reject", "quality": 99.0},
            {"reward": -0.5},
            {"quality": 80.0, "reward": 1.0},
        )
    ]
    found = worth(table(lines)).tolist()
    assert np.isnan(found[0])
    assert found[1:] == [0.0, 0.25, 0.9]


OURS = "a" * 64


def beside_ours() -> list[Row]:
    """Prompts that our adapter answered well and somebody else worse; the same sessions hold other runs."""
    rows = []
    for n in range(40):
        facts = {"prompt_digest": f"p{n}", "task": f"t{n}"}
        ours = {"quality": 95.0, "source": "urn:ours", "adapter_digest": OURS, "session": f"s{n}"}
        rows += [
            run(3 * n, user(prompt(n)), answer(content=f"good {n}"), **facts, **ours),
            run(3 * n + 1, user(prompt(n)), answer(content=f"worse {n}"), **facts, quality=60.0),
            run(3 * n + 2, user(prompt(n + 1_000)), answer(content=f"else {n}"), session=f"s{n}"),
        ]
    return rows


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"caps": (Cap(by="source", value="urn:ours", count=0),)}, "source_cap"),
        ({"max_own_share": 0.0}, "own_output"),
    ],
    ids=["cap", "own output"],
)
def test_better_sides_hold_the_limits_that_examples_hold(
    limit: dict[str, Any], reason: str
) -> None:
    free = {"min_quality": 50.0, "max_own_share": 1.0, "max_outlier_score": 1.0}
    assert len(sealed(beside_ours(), **free).pairs) == 40
    held = sealed(beside_ours(), **{**free, **limit})
    assert held.dropped[reason] == 40
    assert held.pairs == ()


def test_better_sides_count_as_generations() -> None:
    recipe = Recipe(min_quality=50.0, max_own_share=1.0, max_outlier_score=1.0, max_generation=3)
    found = decided_rows(beside_ours(), recipe, OFFSETS, generations={OURS: 2})
    assert (len(found.pairs.chosen), found.generation) == (40, 2)
    found = decided_rows(beside_ours(), recipe, OFFSETS, generations={OURS: 4})
    assert (len(found.pairs.chosen), found.generation) == (0, 0)


def test_four_pairs_of_a_prompt_are_enough() -> None:
    lines = [
        {"prompt_digest": "p", "type": PLAN, "label": None, "answer": bytes([n]), "quality": float(n), "reward": None, "decision": None, "usable": True, "good": True}
        for n in random.Random(1).sample(range(0, 100, 5), 20)
    ]  # fmt: skip
    found = paired(lines)
    margins = sorted(found.margin.tolist(), reverse=True)
    assert margins == pytest.approx([0.95, 0.85, 0.75, 0.65])
    assert len(paired(lines, most=99).chosen) == 8, "down to a margin of 0.2"


# In sealed datasets


def right(number: int = 1, **changes: Any) -> Row:
    """A good answer to what is asked."""
    return run(number, ASKED, answer(call(n=number)), **{"prompt_digest": "p", **changes})


def wrong(number: int = 2, **changes: Any) -> Row:
    """A poor one, refused at ingest."""
    facts: dict[str, Any] = {"disposition": Disposition.REJECTED, "quality": 10.0}
    return right(number, **{**facts, **changes})


def row_id(number: int) -> str:
    return f"c:execution.completed:0:{number}"


def pair_of(rows: list[Row], **recipe: Any) -> Pair:
    (found,) = sealed(rows, **recipe).pairs
    return found


def test_a_worse_answer_comes_from_a_row_that_was_refused() -> None:
    found = sealed([right(), wrong()])
    assert names(found) == [1]
    assert found.dropped == {"ingest_rejected": 1}
    (pair,) = found.pairs
    assert (pair.chosen_row, pair.rejected_row, pair.label_row) == (row_id(1), row_id(2), None)
    assert pair.margin == pytest.approx(0.8)
    assert pair.messages == (ASKED,)
    assert (pair.chosen, pair.rejected) == ((answer(call(n=1)),), (answer(call(n=2)),))
    assert pair.tools == tuple(TOOLS)
    assert pair.split is found.examples[0].split


@pytest.mark.parametrize(("least", "count"), [(0.2, 1), (0.8, 1), (0.81, 0), (1.0, 0)])
def test_a_pair_has_its_margin(least: float, count: int) -> None:
    assert len(sealed([right(), wrong()], min_margin=least).pairs) == count


def test_a_correction_is_chosen_over_the_answer_that_it_mends() -> None:
    found = sealed([wrong(1), edited(7, 1, "mended")])
    (pair,), (example,) = found.pairs, found.examples
    assert (pair.chosen_row, pair.rejected_row) == (row_id(1), row_id(1))
    assert pair.label_row == example.label_row == "c:feedback.received:0:7"
    assert pair.margin == 1.0
    assert pair.messages == (ASKED,)
    assert (pair.chosen, pair.rejected) == ((answer(content="mended"),), (answer(call(n=1)),))
    assert pair.split is example.split


def test_an_edit_that_changes_nothing_or_asks_something_else_makes_no_pair() -> None:
    same = edited(7, 1, "", content='{"messages": [{"role": "assistant", "content": "said"}]}')
    assert sealed([run(1, ASKED, answer(content="said")), same]).pairs == ()
    other = edited(
        7,
        1,
        "",
        content='{"messages": [{"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]}',
    )
    found = sealed([right(), other])
    assert (names(found), found.pairs) == ([1], ())


def test_a_person_s_word_makes_an_answer_worse() -> None:
    for word in (decided(1, 2, "reject"), said(1, 2, value=-1.0)):
        pair = pair_of([right(), right(2), word])
        assert (pair.chosen_row, pair.rejected_row) == (row_id(1), row_id(2))
    assert sealed([right(), right(2)]).pairs == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"arm": "shadow"},
        {"content": None},
        {"disposition": Disposition.DUPLICATE},
        {"tenant": "other"},
        {"model": "other"},
        {"prompt_digest": "q"},
        {"prompt_digest": None},
        {"quality": None},
        {"user": "gone"},
    ],
    ids=str,
)
def test_what_may_not_be_shown_is_no_worse_answer_either(changes: dict[str, Any]) -> None:
    rows = [right(), wrong(3), forget(1, user="gone")]
    assert len(sealed(rows).pairs) == 1
    found = sealed([right(), wrong(3, **changes), forget(1, user="gone")])
    assert (names(found), found.pairs) == ([1], ())


def test_only_what_was_asked_the_same_is_compared() -> None:
    """The ledger's prompt digest says so first; the conversations decide."""
    system = {"role": "system", "content": "be brief"}
    told = run(2, system, ASKED, answer(call(n=2)), prompt_digest="p", quality=10.0)
    found = sealed([right(), told])
    assert (names(found), found.pairs) == ([1], ())


def test_two_refused_answers_make_no_pair() -> None:
    rows = [wrong(1, quality=60.0), wrong(2), run(9, prompt_digest="p")]
    assert sealed(rows).pairs == (), "the third was asked something else"
    assert len(sealed([right(5), *rows[:2]]).pairs) == 1


def test_a_good_answer_that_came_twice_may_still_be_the_better_one() -> None:
    rows = [right(1, quality=75.0), right(2, quality=95.0), wrong(3)]
    found = sealed(rows)
    assert names(found) == [2]
    assert found.dropped == {"exact_duplicate": 1, "ingest_rejected": 1}
    assert {(p.chosen_row, p.rejected_row) for p in found.pairs} == {(row_id(2), row_id(3))}
    rows.append(wrong(4, quality=20.0))
    both = {(p.chosen_row, p.rejected_row) for p in sealed(rows).pairs}
    assert both == {(row_id(2), row_id(3)), (row_id(1), row_id(4))}


def test_golden_prompts_are_in_no_pair() -> None:
    others = [run(n, trust=None) for n in range(10, 14)]
    cases: list[GoldenCase] = choose_golden([right(), *others], Recipe(), OFFSETS)
    assert [case.case_id for case in cases] == [row_id(1)]
    rows = [right(3), wrong(), edited(1, 2, "mended"), *others]
    assert len(sealed(rows).pairs) == 1
    assert seal(rows, Recipe(), OFFSETS, cases).pairs == ()


def test_pairs_go_where_their_examples_go() -> None:
    rows = [row for n in range(40) for row in (
        run(2 * n, user(prompt(n)), answer(call(n=n)), prompt_digest=f"p{n}"),
        run(2 * n + 1, user(prompt(n)), answer(call(n=-1)), prompt_digest=f"p{n}", quality=5.0),
    )]  # fmt: skip
    found = sealed(rows, validation_share=0.3, test_share=0.3)
    parts = {example.row_id: example.split for example in found.examples}
    assert len(found.pairs) == 40
    assert {pair.chosen_row: pair.split for pair in found.pairs} == parts
    assert len(set(parts.values())) == 3


def test_the_window_s_pairs_are_of_one_prompt_and_of_two_answers(window: SealedWindow) -> None:
    rows = {row.row_id: row for row in window.rows}
    for pair in window.sealed.pairs:
        better, worse = rows[pair.chosen_row], rows[pair.rejected_row]
        assert better.prompt_digest == worse.prompt_digest
        assert pair.chosen != pair.rejected
        assert pair.margin >= 0.2
        assert (pair.label_row is None) is (pair.chosen_row != pair.rejected_row)
    edits = {pair.label_row for pair in window.sealed.pairs if pair.label_row}
    assert {e.label_row for e in window.sealed.examples if e.label_row} <= edits
