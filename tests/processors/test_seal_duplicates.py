"""Duplicates, outliers and the cap on own output."""

from __future__ import annotations

import random
import warnings
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from processors.curation.seal import conversation
from processors.curation.seal.outliers import anomaly
from schemas.rows import Row
from tests.leaks import alike_across
from tests.processors.small import (
    answer,
    decided,
    edited,
    facts_of,
    names,
    prompt,
    run,
    said,
    sealed,
    similarity,
    user,
)
from tests.processors.window import SealedWindow
from tests.support import call

WORDS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]


def asked(number: int, words: list[str], **changes: Any) -> Row:
    return run(number, user(" ".join(words)), answer(call(n=number)), **changes)


def test_case_and_space_do_not_tell_prompts_apart() -> None:
    rows = [run(1, user("A  trip\nto Lyon"), answer()), run(2, user("a trip to lyon "), answer())]
    assert sealed(rows).dropped == {"exact_duplicate": 1}


def test_the_system_prompt_does_not_make_runs_alike() -> None:
    system: dict[str, Any] = {"role": "system", "content": prompt(99) * 9}
    rows = [run(n, system, user(prompt(n)), answer(content="x")) for n in (1, 2)]
    assert names(sealed(rows)) == [1, 2]
    assert conversation.asked([system, answer()]) == prompt(99) * 9


def test_of_two_that_are_alike_the_correction_then_the_heavier_then_the_earlier_stays() -> None:
    near = [*WORDS[:-1], "else"]
    rows = [asked(1, WORDS), asked(2, near), asked(3, WORDS)]
    assert names(sealed(rows)) == [1]
    assert sealed(rows).dropped == {"exact_duplicate": 1, "near_duplicate": 1}
    assert names(sealed([*rows, said(1, 2, value=1.0)])) == [2]
    assert names(sealed([*rows, said(1, 2, value=1.0), edited(2, 3, "right")])) == [3]
    assert names(sealed(rows, near_duplicate=0.9)) == [1, 2]


def test_what_resembles_only_a_dropped_one_stays() -> None:
    chain = [WORDS, [*WORDS[:-1], "y"], ["x", *WORDS[1:-1], "y"]]
    assert [similarity(" ".join(a), " ".join(b)) >= 0.8 for a, b in combinations(chain, 2)] == [
        *(True, False, True)
    ]
    assert names(sealed([asked(n, words) for n, words in enumerate(chain)])) == [0, 2]


def test_the_same_prompt_ten_thousand_times_is_one() -> None:
    rows = [asked(n % 900, WORDS, id=f"e{n}", partition=n % 2) for n in range(10_000)]
    found = sealed(rows)
    assert len(found.examples) == 1
    assert found.dropped == {"exact_duplicate": 9_999}


def test_no_two_examples_of_the_window_are_alike(window: SealedWindow) -> None:
    texts = [conversation.asked(list(example.messages)) for example in window.sealed.examples]
    everyone = range(len(texts))
    assert alike_across(texts, everyone, 0.8) == []
    assert len(alike_across(texts, everyone, 0.7)) > 10, "some are nearly alike"


def words_of(number: int, count: int) -> str:
    dice = random.Random(number)
    return " ".join(f"w{dice.randrange(99)}" for _ in range(count))


def sized(number: int, count: int, **facts: Any) -> Row:
    """A run that was asked so many words."""
    return run(number, user(words_of(number, count)), answer(call(n=number)), **facts)


def test_outliers_go_and_ordinary_ones_stay() -> None:
    ordinary = [sized(n, 10 + n % 5) for n in range(300)]
    strange = [sized(n, 5_000, quality=1.0) for n in range(300, 303)]
    recipe = {"max_outlier_score": 0.65, "min_quality": 0.0, "min_score": 0.0}
    found = sealed([*ordinary, *strange], **recipe)
    kept = names(found)
    assert set(kept) < set(range(300))
    assert len(kept) > 280
    assert found.dropped == {"outlier": 303 - len(kept)}


def test_what_a_person_has_accepted_is_no_outlier() -> None:
    ordinary = [sized(n, 10 + n % 5) for n in range(300)]
    strange = [sized(n, 5_000) for n in range(300, 303)]
    accepted = [decided(1, 300, "accept"), edited(2, 301, "right")]
    found = names(sealed([*ordinary, *strange, *accepted]))
    assert {300, 301} <= set(found)
    assert 302 not in found


def test_few_rows_have_no_outliers() -> None:
    few = [*(sized(n, 12) for n in range(99)), sized(99, 5_000)]
    facts = facts_of([*few, sized(100, 12)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(anomaly(facts, np.arange(101) < 100, 0)).all()
        scores = anomaly(facts, np.ones(101, np.bool_), 0)
    assert scores.argmax() == 99
    assert ((scores > 0) & (scores < 1)).all()


@pytest.mark.parametrize(
    ("share", "own", "kept"),
    [(0.5, 30, 10), (0.5, 10, 10), (0.5, 5, 5), (0.2, 30, 2), (0.0, 30, 0), (1.0, 30, 30)],
)
def test_own_output_is_at_most_its_share(share: float, own: int, kept: int) -> None:
    theirs = [run(n, adapter_digest="a") for n in range(own)]
    others = [run(n) for n in range(100, 110)]
    found = sealed([*theirs, *others], max_own_share=share)
    mine = [number for number in names(found) if number < 100]
    assert len(mine) == kept
    assert names(found)[len(mine) :] == list(range(100, 110))
    assert found.dropped == ({"own_output": own - kept} if own > kept else {})
    other_seed = sealed([*theirs, *others], max_own_share=share, seed=1)
    assert (names(other_seed) == names(found)) is (kept in (0, own))


def test_corrections_are_nobody_s_own_output() -> None:
    rows = [run(n, adapter_digest="a") for n in range(20)]
    edits = [edited(n, n, "right") for n in range(10)]
    assert names(sealed([*rows, *edits], max_own_share=0.0)) == list(range(10))


def test_the_window_s_own_output_is_at_its_cap(window: SealedWindow) -> None:
    own = sum(e.kind == "run" and e.adapter_digest is not None for e in window.sealed.examples)
    assert own == len(window.sealed.examples) - own
