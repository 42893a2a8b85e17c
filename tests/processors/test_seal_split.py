"""The split of a sealed window: nothing leaks across it, and its shares are what the recipe says.

What `leakproof_split` does with groups is tested in `test_leakproof`; here it is what is grouped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import normalize

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.curation.seal import conversation
from processors.curation.seal.decide import NO_PART, Decision
from schemas.datasets import Example, Pair, Recipe, Split
from schemas.rows import Row
from tests.leaks import FACTS, alike_across, crossing_groups, leaks
from tests.processors.small import OFFSETS, answer, names, prompt, run, sealed, user
from tests.processors.window import CHAINS, FAMILIES, PLAIN, RECIPE, SealedWindow
from tests.sealing import decided
from tests.support import call

ASKED = (*FACTS, "prompt_digest")
SELECTED = {"", "exact_duplicate", "near_duplicate", "outlier", "low_score", "own_output"}
few = st.none() | st.sampled_from("abcdef")
people = st.lists(
    st.tuples(few, few, few, st.integers(0, 9), st.sampled_from([20.0, 75.0, 95.0])), max_size=30
)
Person = tuple[str | None, str | None, str | None, int, float]


def asking(found: Sequence[Person]) -> list[Row]:
    """Runs of people; those of one prompt have answers of their own, some of them too poor to learn."""
    return [
        run(
            number,
            user(f"{prompt(asked)} {'again' if number % 2 else ''}"),
            answer(call(n=number)),
            session=session,
            user=person,
            task=task,
            prompt_digest=f"prompt-{asked}",
            quality=quality,
        )
        for number, (session, person, task, asked, quality) in enumerate(found)
    ]


def placed(decision: Decision) -> list[dict[str, Any]]:
    """The rows in a dataset with their parts: its examples, and both sides of its pairs."""
    columns = {name: decision.facts[name].to_pylist() for name in ASKED if name != "cluster"}
    columns["cluster"] = decision.clusters.tolist()
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    pairs = decision.pairs
    sides = [*zip(pairs.chosen.tolist(), decision.pair_parts.tolist(), strict=True)]
    sides += zip(pairs.rejected.tolist(), decision.pair_parts.tolist(), strict=True)
    inside = np.flatnonzero(decision.parts != NO_PART).tolist()
    sides += [(row, int(decision.parts[row])) for row in inside]
    return [{**rows[row], "split": part} for row, part in sides]


@settings(max_examples=40)
@given(people, st.integers(0, 5))
def test_nothing_that_is_shared_crosses_the_split(found: list[Person], seed: int) -> None:
    recipe = Recipe(seed=seed, validation_share=0.3, test_share=0.3)
    decision = decided(asking(found), recipe, OFFSETS)
    rows = placed(decision)
    assert not leaks(rows, ASKED)
    assert crossing_groups(rows, ASKED) == 0
    assert (decision.parts != NO_PART).tolist() == decision.fates.kept.tolist()
    again = decided(asking(found), recipe, OFFSETS)
    assert again.parts.tolist() == decision.parts.tolist()
    assert again.pair_parts.tolist() == decision.pair_parts.tolist()


def in_split(examples: Iterable[Example]) -> list[dict[str, Any]]:
    return [
        {**{name: getattr(example, name) for name in ASKED}, "split": example.split}
        for example in examples
    ]


def sides(pairs: Iterable[Pair], rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Both rows of each pair, with what the ledger says of them; a row's `cluster` is Kafka's."""
    known = {row.row_id: row for row in rows}
    facts = [name for name in ASKED if name != "cluster"]
    return [
        {**{fact: getattr(known[name], fact) for fact in facts}, "split": pair.split}
        for pair in pairs
        for name in (pair.chosen_row, pair.rejected_row)
    ]


def test_nothing_of_the_window_crosses_its_split(window: SealedWindow) -> None:
    for dataset in (window.sealed, window.beside):
        rows = in_split(dataset.examples)
        for fact in ("session", "user", "task"):
            assert max(Counter(row[fact] for row in rows).values()) > 1, (
                "there is something to leak"
            )
        rows += sides(dataset.pairs, window.rows)
        assert not leaks(rows, ASKED)
        assert crossing_groups(rows, ASKED) == 0
        assert {row["split"] for row in rows} == set(Split)


def test_no_prompt_of_the_window_has_a_relative_in_another_part(window: SealedWindow) -> None:
    examples = window.sealed.examples
    texts = [conversation.asked(list(example.messages)) for example in examples]
    parts = [example.split for example in examples]
    assert alike_across(texts, parts, 0.8) == []


def test_forms_of_unicode_are_one_prompt() -> None:
    """Composed and decomposed, full width and half: looks the same, is the same."""
    said = [f"{prompt(n)} café 서울 {n}" for n in range(30)]
    texts = [normalize(form, text) for text in said for form in ("NFC", "NFD")]
    texts += [text.replace("word", "\uff57ord") for text in said]
    found = sealed([run(n, user(text), answer(content=str(n))) for n, text in enumerate(texts)])
    assert (len(found.examples), found.dropped) == (30, {"exact_duplicate": 60})


def test_relatives_of_a_dropped_duplicate_stay_together(window: SealedWindow) -> None:
    """A ~ B ~ C, A unlike C: B was dropped for A, and C must follow A."""
    where = {row.row_id: int(re.sub(r"\D", "", row.id or "0")) for row in window.rows}
    decision = decided(window.rows, RECIPE, window.offsets)
    reasons = decision.fates.reasons().to_pylist()
    numbers = [int(re.sub(r"\D", "", name)) for name in decision.facts["id"].to_pylist()]
    inside = {number for number, why in zip(numbers, reasons, strict=True) if why in SELECTED}
    parts = {where[example.row_id]: example.split for example in window.sealed.examples}
    first = PLAIN + 4 * FAMILIES
    whole = [n for n in range(first, first + 3 * CHAINS, 3) if {n, n + 1, n + 2} <= inside]
    both = [n for n in whole if n in parts and n + 2 in parts]
    assert len(both) >= 5
    assert all(parts[n] == parts[n + 2] for n in both)
    assert len({parts[n] for n in both}) > 1


def test_shares_are_near_eighty_ten_ten_in_every_domain(window: SealedWindow) -> None:
    for domain in (None, "rail", "air", "sea"):
        found = [e for e in window.sealed.examples if domain in (None, e.domain)]
        counts = Counter(example.split for example in found)
        assert len(found) > 300
        assert abs(counts[Split.TRAIN] / len(found) - 0.8) < 0.03
        assert abs(counts[Split.VALIDATION] / len(found) - 0.1) < 0.02
        assert abs(counts[Split.TEST] / len(found) - 0.1) < 0.02


def test_a_share_of_nothing_gets_nothing() -> None:
    found = sealed([run(n) for n in range(20)], validation_share=0.0, test_share=0.0)
    assert {example.split for example in found.examples} == {Split.TRAIN}


def test_the_seed_changes_who_goes_where_and_not_who_comes() -> None:
    rows = [run(n) for n in range(30)]
    left, right = sealed(rows, seed=0), sealed(rows, seed=1)
    assert names(left) == names(right) == list(range(30))
    parts = [{e.row_id: e.split for e in found.examples} for found in (left, right)]
    assert parts[0] != parts[1]


def test_a_worse_answer_takes_its_friends_with_it() -> None:
    """No example is of user `w`, but a rejected answer is; the rest of its session must follow it."""
    apart = {"validation_share": 0.4, "test_share": 0.4}
    better = run(0, user(prompt(0)), answer(call(n=0)), prompt_digest="p", user="a")
    worse = run(1, user(prompt(0)), answer(call(n=1)), prompt_digest="p", user="w", quality=10.0)
    friends = [run(n, user="w") for n in range(2, 5)]
    for seed in range(8):
        found = sealed([better, worse, *friends], seed=seed, **apart)
        (pair,) = found.pairs
        assert {example.split for example in found.examples} == {pair.split}
