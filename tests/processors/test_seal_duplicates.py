"""Duplicates, outliers and the cap on own output."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.seal.candidates import Candidate
from processors.curation.seal.duplicates import conversation_prompt, shingles, similar_pairs
from processors.curation.seal.guard import cap_own_output, drop_outliers
from schemas.rows import Row
from tests.processors.small import (
    answer,
    edited,
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


prompts = st.lists(
    st.lists(st.sampled_from("abcd"), max_size=8).map(" ".join), max_size=12, unique=True
)


@given(prompts, st.sampled_from([0.5, 0.8, 1.0]))
def test_pairs_are_those_of_brute_force(texts: list[str], threshold: float) -> None:
    expected = {
        (i, j)
        for i, j in combinations(range(len(texts)), 2)
        if similarity(texts[i], texts[j]) >= threshold
    }
    found = similar_pairs(texts, threshold)
    pairs = {(i, j) for i, others in enumerate(found) for j in others if i < j}
    assert pairs <= expected
    assert all(i in found[j] for i, others in enumerate(found) for j in others)
    sure = {pair for pair in expected if similarity(*(texts[n] for n in pair)) >= 0.8}
    assert pairs >= sure


def test_case_and_space_do_not_tell_prompts_apart() -> None:
    rows = [run(1, user("A  trip\nto Lyon"), answer()), run(2, user("a trip to lyon "), answer())]
    assert sealed(rows).dropped == {"exact_duplicate": 1}


def test_the_system_prompt_does_not_make_runs_alike() -> None:
    system: dict[str, Any] = {"role": "system", "content": prompt(99) * 9}
    rows = [run(n, system, user(prompt(n)), answer(content="x")) for n in (1, 2)]
    assert names(sealed(rows)) == [1, 2]
    assert conversation_prompt([system, answer()]) == prompt(99) * 9


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


def test_short_prompts_are_one_shingle() -> None:
    assert shingles("a b") == {"a b"}
    assert shingles("a b c d") == {"a b c", "b c d"}
    assert shingles("") == {""}


def test_no_two_examples_of_the_window_are_alike(window: SealedWindow) -> None:
    by_gram: dict[str, list[int]] = {}
    texts = [conversation_prompt(list(example.messages)) for example in window.sealed.examples]
    close: Counter[tuple[int, int]] = Counter()
    for number, text in enumerate(texts):
        for gram in shingles(text):
            close.update((other, number) for other in by_gram.get(gram, ()))
            by_gram.setdefault(gram, []).append(number)
    assert len(close) > 10
    assert all(similarity(texts[i], texts[j]) < 0.8 for i, j in close)


def candidate(number: int, words: int = 12, **facts: Any) -> Candidate:
    dice = random.Random(number)
    text = " ".join(f"w{dice.randrange(99)}" for _ in range(words))
    given_row = run(number, **facts)
    return Candidate(
        row=given_row,
        label_row=None,
        messages=(user(text), answer(call(n=number))),
        tools=({},),
        kind="run",
        weight=1.0,
    )


def test_outliers_go_and_ordinary_ones_stay() -> None:
    ordinary = [candidate(n, 10 + n % 5) for n in range(300)]
    strange = [candidate(n, 5_000, quality=1.0) for n in range(300, 303)]
    dropped: Counter[str] = Counter()
    kept = drop_outliers([*ordinary, *strange], 0.65, 0, dropped)
    assert not [each for each in strange if each in kept]
    assert len(kept) > 280
    assert dropped["outlier"] == 303 - len(kept)
    assert kept == [each for each in ordinary if each in kept]


def test_few_candidates_have_no_outliers() -> None:
    few = [*(candidate(n) for n in range(99)), candidate(99, 5_000)]
    assert drop_outliers(few, 0.0, 0, Counter()) == few
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert drop_outliers([*few, candidate(100)], 0.0, 0, Counter()) == []


@pytest.mark.parametrize(
    ("share", "own", "kept"),
    [(0.5, 30, 10), (0.5, 10, 10), (0.5, 5, 5), (0.2, 30, 2), (0.0, 30, 0), (1.0, 30, 30)],
)
def test_own_output_is_at_most_its_share(share: float, own: int, kept: int) -> None:
    theirs = [candidate(n, adapter_digest="a") for n in range(own)]
    others = [candidate(n) for n in range(100, 110)]
    dropped: Counter[str] = Counter()
    found = cap_own_output([*theirs, *others], share, 0, dropped)
    mine = [each for each in found if each.row.adapter_digest]
    assert len(mine) == kept
    assert [each for each in found if not each.row.adapter_digest] == others
    assert dropped["own_output"] == own - kept
    other_seed = cap_own_output([*theirs, *others], share, 1, Counter())
    assert (other_seed == found) is (kept in (0, own))


def test_corrections_are_nobody_s_own_output() -> None:
    rows = [run(n, adapter_digest="a") for n in range(20)]
    edits = [edited(n, n, "right") for n in range(10)]
    assert names(sealed([*rows, *edits], max_own_share=0.0)) == list(range(10))


def test_the_window_s_own_output_is_at_its_cap(window: SealedWindow) -> None:
    own = sum(e.kind == "run" and e.adapter_digest is not None for e in window.sealed.examples)
    assert own == len(window.sealed.examples) - own
