"""Caps: shares and counts that hold for what is left, whatever their order, and how deep own output goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.seal.caps import apply_caps, generation, surplus, too_derived
from processors.curation.seal.decide import decide
from processors.curation.seal.fates import Fates
from schemas.datasets import Cap, Recipe
from tests.processors.small import OFFSETS, edited, names, run, sealed
from tests.sealing import held, opened

Member = tuple[str | None, str | None, str | None, str | None, str | None]
one_of = st.none() | st.sampled_from("abc")
members = st.lists(st.tuples(one_of, one_of, one_of, one_of, one_of), max_size=60)
COLUMNS = ("source", "trust", "origin", "domain", "adapter_digest")
shares = st.floats(0.01, 0.99) | st.integers(1, 19).map(lambda n: n / 20)
caps = st.lists(
    st.builds(
        Cap,
        by=st.sampled_from(COLUMNS[:4]),
        value=st.none() | st.sampled_from("abx"),
        share=st.none() | shares,
        count=st.integers(0, 30),
    ),
    max_size=4,
)


def table(found: Sequence[Member], labels: Sequence[str | None] = ()) -> pa.Table:
    """Rows of one partition, with what caps look at."""
    count = len(found)
    columns: dict[str, Any] = {
        "cluster": ["c"] * count,
        "topic": ["t"] * count,
        "incarnation": [0] * count,
        "partition": [0] * count,
        "offset": list(range(count)),
        "label": pa.array(labels or [None] * count, pa.string()),
    }
    values = list(zip(*found, strict=True)) or [()] * len(COLUMNS)
    texts = {n: pa.array(v, pa.string()) for n, v in zip(COLUMNS, values, strict=True)}
    return pa.table({**columns, **texts})


def capped(facts: pa.Table, recipe: Recipe) -> Fates:
    fates = Fates(facts.num_rows)
    apply_caps(facts, recipe, fates)
    return fates


def held_by(facts: pa.Table, kept: Any, name: str) -> Counter[Any]:
    return Counter(v for v, inside in zip(facts[name].to_pylist(), kept, strict=True) if inside)


@given(members, caps, st.floats(0, 1), st.integers(1, 40), st.permutations(range(4)))
def test_every_limit_holds_for_what_is_left(
    found: list[Member], limits: list[Cap], own: float, most: int, order: list[int]
) -> None:
    turned = tuple(limits[n] for n in order if n < len(limits))
    recipe = Recipe(caps=turned, max_own_share=own, max_examples=most)
    facts = table(found)
    kept = capped(facts, recipe).kept
    left = int(kept.sum())
    assert left <= most
    adapters = held_by(facts, kept, "adapter_digest")
    assert left - adapters[None] <= own * left + 1e-9
    for cap in limits:
        counts = held_by(facts, kept, cap.by)
        for value in {cap.value} if cap.value else set(counts) - {None}:
            assert cap.share is None or counts[value] <= cap.share * left + 1e-9
            assert cap.count is None or counts[value] <= cap.count


@given(members, shares, st.integers(0, 60), st.integers(0, 3))
def test_one_cap_takes_no_more_than_it_must(
    found: list[Member], share: float, count: int, seed: int
) -> None:
    facts = table(found)
    recipe = Recipe(
        caps=(Cap(by="source", value="a", share=share, count=count),), max_own_share=1, seed=seed
    )
    fates = capped(facts, recipe)
    before, after = (held_by(facts, k, "source") for k in (np.ones(len(found)), fates.kept))
    others = len(found) - before["a"]
    assert {k: v for k, v in after.items() if k != "a"} == {
        k: v for k, v in before.items() if k != "a"
    }
    fits = [n for n in range(min(before["a"], count) + 1) if n <= share * (n + others) + 1e-9]
    assert after["a"] == max(fits)
    assert fates.counts() == (
        {"source_cap": before["a"] - max(fits)} if before["a"] > max(fits) else {}
    )


def test_a_cap_without_a_value_is_for_each_and_not_for_what_says_nothing() -> None:
    facts = table([(source, "t", None, None, None) for source in (*"aaaabbb", *[None] * 9)])
    fates = capped(facts, Recipe(caps=(Cap(by="source", count=2),)))
    assert held_by(facts, fates.kept, "source") == {"a": 2, "b": 2, None: 9}
    fates = capped(
        facts, Recipe(caps=(Cap(by="source", value="b", count=1), Cap(by="trust", count=9)))
    )
    assert len(fates.kept) - fates.kept.sum() == 2 + 5
    assert fates.counts() == {"source_cap": 2, "trust_cap": 5}


def test_what_one_cap_takes_makes_another_stricter() -> None:
    """Half of all may be of a; it is more than that once b is cut to 10."""
    found: list[Member] = [
        ("a" if n < 60 else "b" if n < 100 else "c", None, None, None, None) for n in range(130)
    ]
    limits = (Cap(by="source", value="a", share=0.5), Cap(by="source", value="b", count=10))
    for turned in (limits, limits[::-1]):
        facts = table(found)
        counts = held_by(facts, capped(facts, Recipe(caps=turned)).kept, "source")
        assert counts == {"a": 40, "b": 10, "c": 30}


def test_the_choice_is_drawn_anew_with_the_seed_and_not_with_the_neighbours() -> None:
    facts = table([("a", None, None, None, None)] * 300)

    def chosen(**recipe: Any) -> set[int]:
        return set(np.flatnonzero(capped(facts, Recipe(**recipe)).kept).tolist())

    assert chosen(max_examples=50) < chosen(max_examples=100)
    assert chosen(max_examples=50) != chosen(max_examples=50, seed=1)
    few = capped(facts.slice(0, 200), Recipe(max_examples=50)).kept
    assert {n for n in chosen(max_examples=50) if n < 200} <= set(np.flatnonzero(few).tolist())
    halves = [sum(n % 2 for n in chosen(max_examples=100, seed=seed)) for seed in range(20)]
    assert 40 < sum(halves) / 20 < 60


@pytest.mark.parametrize(
    ("share", "count", "kept"),
    [(None, None, 30), (None, 7, 7), (0.5, None, 10), (0.5, 7, 7), (0.2, 30, 2), (1.0, None, 30)],
)
def test_a_surplus_is_what_lies_beyond(share: float | None, count: int | None, kept: int) -> None:
    mine = np.arange(40) < 30
    ranks = np.arange(40, dtype=np.uint64)[::-1]
    over = surplus(mine, np.ones(40, np.bool_), ranks, share, count)
    assert np.flatnonzero(mine & ~over).tolist() == list(range(30 - kept, 30)), (
        "the lowest ranks stay"
    )
    assert not (over & ~mine).any()


def test_trust_and_source_of_sealed_rows_are_counted() -> None:
    rows = [run(n, source="urn:a" if n % 3 else "urn:b", trust="external") for n in range(12)]
    rows += [run(n, trust="verified") for n in range(12, 18)]
    limits: Any = (Cap(by="trust", value="external", share=0.25), Cap(by="source", count=5))
    found = sealed(rows, caps=limits)
    trusted = Counter(example.trust for example in found.examples)
    assert trusted["external"] <= len(found.examples) / 4
    assert max(Counter(example.source for example in found.examples).values()) <= 5
    assert found.dropped == {"trust_cap": 11, "source_cap": 1}
    assert len(found.examples) == 6


DEPTHS = {"a": 3, "b": 4}


def test_own_output_counts_its_generations() -> None:
    adapters = [None, "a", "b", "new", "b"]
    facts = table([(None, None, None, None, a) for a in adapters], [None] * 4 + ["edit"])
    everyone = np.ones(5, np.bool_)
    assert too_derived(facts, DEPTHS, 3).tolist() == [False, False, True, False, False]
    assert not too_derived(facts, DEPTHS, 4).any()
    assert generation(facts, everyone, DEPTHS) == 4
    assert generation(facts, np.arange(5) != 2, DEPTHS) == 3, "an edited answer is a person's"
    assert generation(facts, np.arange(5) == 3, DEPTHS) == 1, "unknown: trained on base output"
    assert generation(facts, np.isin(np.arange(5), [0, 4]), DEPTHS) == 0


def test_what_stands_on_too_many_generations_is_left_out(tmp_path: Path) -> None:
    rows = [run(n) for n in range(4)] + [run(4, adapter_digest="a"), run(5, adapter_digest="b")]
    rows += [run(6, adapter_digest="b"), edited(1, 6, "right")]
    recipe = Recipe(max_generation=3)
    window = opened(held(rows), recipe, OFFSETS, tmp_path).window
    decision = decide(replace(window, generations=DEPTHS), recipe)
    assert decision.fates.reasons().to_pylist() == ["", "", "", "", "", "too_derived", ""]
    assert decision.generation == 3
    assert decide(window, recipe).fates.counts() == {}
    assert decide(window, recipe).generation == 1


def test_own_output_is_counted_before_the_size_and_holds_after_it() -> None:
    rows = [run(n, adapter_digest="a" if n < 60 else None) for n in range(100)]
    found = sealed(rows, max_own_share=0.3, max_examples=20)
    own = sum(example.adapter_digest is not None for example in found.examples)
    assert own <= 0.3 * len(found.examples)
    assert found.dropped.keys() == {"own_output", "over_max_examples"}
    assert len(names(found)) + sum(found.dropped.values()) == 100
