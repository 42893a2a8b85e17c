"""The split in columns: nothing crosses it, its shares are near what was asked, and it says how near."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.seal.balance import cap_cells, cell_weights
from processors.curation.seal.components import cells, codes, components, groups
from processors.curation.seal.conversation import fold
from processors.curation.seal.leakproof import TEST, TRAIN, VALIDATION, Parts, leakproof_split
from processors.curation.seal.minhash import RensaLsh
from processors.curation.seal.near import find_duplicates, sketch
from tests.leaks import FACTS, alike_across, crossing_groups, leaks
from tests.processors.alike import jaccard
from tests.processors.test_near import Texts, corpus

SHARES = (0.8, 0.1, 0.1)
few = st.none() | st.sampled_from("abcdef")
people = st.lists(st.tuples(few, few, few, st.integers(0, 9), st.sampled_from("xyz")), max_size=40)
Person = tuple[str | None, str | None, str | None, int, str]


def named(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).permutation(count).astype(np.uint64)


def split(
    group: Any, strata: Any, seed: int = 0, shares: tuple[float, float, float] = SHARES
) -> Parts:
    return leakproof_split(group, strata, named(len(group)), shares, seed)


def grouped(found: Sequence[Person]) -> Any:
    session, user, task, cluster, _ = map(list, zip(*found, strict=True)) if found else [[]] * 5
    texts = [codes(pa.array(column, pa.string())) for column in (session, user, task)]
    return groups([*texts, np.array(cluster, np.int64)])


def as_rows(found: Sequence[Person], parts: Any) -> list[dict[str, Any]]:
    return [
        dict(zip((*FACTS, "split"), (*person[:4], part), strict=True))
        for person, part in zip(found, parts.tolist(), strict=True)
    ]


@given(people, st.integers(0, 5), st.sampled_from([SHARES, (0.4, 0.3, 0.3), (1.0, 0.0, 0.0)]))
def test_no_group_crosses_the_split(
    found: list[Person], seed: int, shares: tuple[float, float, float]
) -> None:
    strata, _ = cells([pa.array([person[4] for person in found], pa.string())])
    result = split(grouped(found), strata, seed, shares)
    rows = as_rows(found, result.parts)
    assert not leaks(rows)
    assert crossing_groups(rows) == 0
    assert result.counts.sum() == len(found)
    assert result.sizes.tolist() == np.bincount(result.parts, minlength=3).tolist()
    assert not result.sizes[[part for part in range(3) if shares[part] == 0]].any()


def test_the_checker_sees_what_crosses() -> None:
    rows: list[dict[str, Any]] = [
        {"session": "a", "user": "u", "split": 0},
        {"session": "b", "user": "u", "split": 0},
        {"session": "b", "user": None, "split": 1},
        {"session": "c", "split": 1},
    ]
    assert leaks(rows) == {("session", "b")}
    assert crossing_groups(rows) == 1
    assert crossing_groups([{**row, "split": 0} for row in rows]) == 0
    assert [pair[:2] for pair in alike_across(["a b c", "a b c", "a b d"], [0, 1, 1], 0.8)] == [
        (0, 1)
    ]


@given(
    st.lists(st.tuples(st.text("ab ", max_size=16).map(fold), st.integers(0, 1)), max_size=12),
    st.sampled_from([0.5, 0.55, 0.7, 0.8, 1.0]),
)
def test_the_checker_sees_every_pair_that_is_alike(
    found: list[tuple[str, int]], threshold: float
) -> None:
    texts, parts = [text for text, _ in found], [part for _, part in found]
    pairs = [
        (i, j, jaccard(texts[i], texts[j]))
        for i, j in combinations(range(len(found)), 2)
        if parts[i] != parts[j] and jaccard(texts[i], texts[j]) >= threshold
    ]
    assert sorted(alike_across(texts, parts, threshold)) == pairs


@given(people, st.randoms(use_true_random=False))
def test_groups_are_the_same_in_any_order(found: list[Person], dice: random.Random) -> None:
    order = dice.sample(range(len(found)), len(found))
    one, other = grouped(found), grouped([found[n] for n in order])
    assert ((one[order][:, None] == one[order]) == (other[:, None] == other)).all()
    assert (one <= np.arange(len(found))).all()
    assert (one[one] == one).all()


@given(people, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_makes_no_difference(
    found: list[Person], seed: int, dice: random.Random
) -> None:
    order = np.array(dice.sample(range(len(found)), len(found)), np.int64)
    names = named(len(found))
    domains = pa.array([person[4] for person in found], pa.string())
    one = leakproof_split(grouped(found), cells([domains])[0], names, SHARES, seed)
    other = leakproof_split(
        grouped([found[n] for n in order]),
        cells([domains.take(order)])[0],
        names[order],
        SHARES,
        seed,
    )
    assert one.parts[order].tolist() == other.parts.tolist()


@given(st.integers(20, 200), st.integers(1, 5), st.integers(0, 3))
def test_single_examples_meet_the_shares_in_every_stratum(
    count: int, kinds: int, seed: int
) -> None:
    strata = np.arange(count) % kinds
    result = split(np.arange(count), strata, seed)
    assert (np.abs(result.counts - np.outer(np.bincount(strata), SHARES)) <= 2).all()
    assert (np.abs(result.sizes - count * np.array(SHARES)) <= 1).all()
    assert np.abs(result.deviation).max() <= 2 / np.bincount(strata).min()


def test_groups_of_all_sizes_meet_the_shares_and_the_deviation_is_told() -> None:
    dice = np.random.default_rng(1)
    sizes = np.minimum(dice.zipf(1.7, 4_000), 300)
    group = np.repeat(np.cumsum(sizes) - sizes, sizes)
    own = np.repeat(dice.integers(0, 6, len(sizes)), sizes)
    strata = np.where(dice.random(len(group)) < 0.9, own, dice.integers(0, 6, len(group)))
    result = split(group, strata)
    assert not [one for one in range(3) if abs(result.overall_deviation[one]) > 0.002]
    assert np.abs(result.deviation).max() < 0.02
    assert 0 < result.mean_deviation < 0.01
    shares = np.array([(result.counts[one] / result.counts[one].sum()) for one in range(6)])
    assert np.allclose(result.deviation, shares - SHARES)
    largest = [max(sizes[result.parts[np.cumsum(sizes) - sizes] == part]) for part in range(3)]
    assert min(largest) > 20, "not only the small groups are tested on"


def test_another_seed_sends_others() -> None:
    group = np.arange(1_000) // 2 * 2
    one, other = (split(group, np.zeros(1_000, np.int64), seed) for seed in (0, 1))
    assert one.counts.tolist() == other.counts.tolist()
    assert (one.parts != other.parts).any()


def test_a_million_rows_of_one_session_go_to_train_and_the_split_complains() -> None:
    session = np.zeros(1_000_000, np.int64)
    result = split(groups([session]), np.arange(1_000_000) % 4)
    assert result.sizes.tolist() == [1_000_000, 0, 0]
    assert result.missing == (VALIDATION, TEST)
    assert result.largest == 1_000_000
    assert result.complaint() == (
        "no example for validation and test: 1,000,000 examples, of which 1,000,000 must stay "
        "together, for they share a session, a user, a task or a duplicate cluster"
    )


def test_a_session_above_the_training_share_leaves_the_rest_to_the_others() -> None:
    session = np.where(np.arange(1_000) < 900, 0, -1)
    result = split(groups([session]), np.zeros(1_000, np.int64))
    assert result.sizes.tolist() == [900, 50, 50]
    assert result.complaint() is None
    assert result.overall_deviation == pytest.approx([0.1, -0.05, -0.05])


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (5, [3, 1, 1])]
)
def test_a_part_is_empty_only_if_there_are_too_few_groups(count: int, sizes: list[int]) -> None:
    result = split(np.arange(count), np.zeros(count, np.int64))
    assert result.sizes.tolist() == sizes
    assert (result.complaint() is None) == (count > 2)


def test_what_is_held_out_stays_held_out_when_the_window_grows() -> None:
    """Sessions of one to eight examples, of which a tenth comes later."""
    dice = np.random.default_rng(1)
    owner = np.repeat(np.arange(4_000), dice.integers(1, 9, 4_000))
    strata = np.where(dice.random(len(owner)) < 0.8, owner % 6, dice.integers(0, 6, len(owner)))
    names = dice.integers(0, 2**63, 4_000).astype(np.uint64)[owner]
    early = np.flatnonzero(dice.random(len(owner)) < 0.9)

    def parts(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return leakproof_split(groups([owner[rows]]), strata[rows], names[rows], SHARES, 0).parts

    before, after = parts(early), parts(np.arange(len(owner)))[early]
    held_out = before != TRAIN
    assert held_out.sum() > 2_000
    assert (after[held_out] == TRAIN).mean() < 0.03, "seen: 0.01; by need alone three of four"


def test_nothing_is_split_into_nothing() -> None:
    result = split(np.empty(0, np.int64), np.empty(0, np.int64))
    assert len(result.parts) == 0
    assert result.missing == (TRAIN, VALIDATION, TEST)
    assert result.mean_deviation == 0.0


def test_near_duplicates_stay_on_one_side() -> None:
    texts = corpus(random.Random(3), 2_000)
    engine = RensaLsh(0.8)
    found = find_duplicates(
        sketch(texts, engine), np.zeros(len(texts), np.int64), Texts(texts), engine
    )
    result = split(groups([found.clusters]), np.zeros(len(texts), np.int64))
    assert alike_across(texts, result.parts.tolist(), 0.8) == []
    apart = split(np.arange(len(texts)), np.zeros(len(texts), np.int64))
    assert len(alike_across(texts, apart.parts.tolist(), 0.8)) > 50


edges = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40)


@given(edges)
def test_components_are_named_by_their_smallest_member(pairs: list[tuple[int, int]]) -> None:
    found = components(31, *np.array(pairs, np.int64).reshape(-1, 2).T)
    reached = np.eye(31, dtype=bool)
    for one, other in pairs:
        reached[one, other] = reached[other, one] = True
    for _ in range(5):
        reached = reached @ reached
    assert found.tolist() == reached.argmax(axis=1).tolist()


def test_cells_are_numbered_by_value_and_null_is_one() -> None:
    domain = pa.chunked_array([["b", None], ["a", "b"]])
    number, values = cells([domain, pa.array([1, 1, 2, 0])])
    assert values == [(None, 1), ("a", 2), ("b", 0), ("b", 1)]
    assert number.tolist() == [3, 0, 1, 2]
    assert codes(pa.array([None, "x", "y", "x"])).tolist() == [-1, 0, 1, 0]


cell_lists = st.lists(st.integers(0, 5), min_size=1, max_size=200)


@given(cell_lists, st.floats(0.05, 1.0))
def test_no_cell_is_above_its_cap_and_no_more_is_lost_than_must_be(
    found: list[int], share: float
) -> None:
    cell = np.array(found)
    preference = named(len(found), 1)
    result = cap_cells(cell, preference, share)
    left = np.bincount(cell[result.kept])
    whole = np.bincount(cell)
    asked = max(share, 1 / np.count_nonzero(whole))
    assert result.share == pytest.approx(left.max() / left.sum())
    assert result.share <= asked + 1e-9
    assert left.tolist() == np.minimum(whole, result.limit).tolist()
    more = np.minimum(whole, result.limit + 1)
    assert (more == left).all() or more.max() > asked * more.sum()
    for one in range(len(whole)):
        kept, gone = (preference[(cell == one) & side] for side in (result.kept, ~result.kept))
        assert not len(gone) or kept.max() < gone.min()


@given(cell_lists, st.floats(0.0, 1.0))
def test_weights_smooth_the_cells(found: list[int], exponent: float) -> None:
    cell = np.array(found)
    weights = cell_weights(cell, exponent, largest=1e9)
    counts = np.bincount(cell)
    mass = np.bincount(cell, weights)[counts > 0]
    expected = counts[counts > 0] ** exponent
    assert weights.mean() == pytest.approx(1.0)
    assert mass / mass.sum() == pytest.approx(expected / expected.sum())


def test_a_cell_of_one_does_not_rule() -> None:
    weights = cell_weights(np.array([0] * 9_999 + [1]), 0.0)
    assert weights.max() / weights.min() < 21
    assert len(cell_weights(np.empty(0, np.int64), 0.5)) == 0
