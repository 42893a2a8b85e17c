"""Near duplicates in columns: what brute force finds, whatever the batches, the order, the processes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations, pairwise
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.curation.seal.conversation import fold
from processors.curation.seal.greedy import Fate, fates
from processors.curation.seal.jaccard import similarities
from processors.curation.seal.minhash import (
    SLOTS,
    MinHashLsh,
    RensaLsh,
    Signatures,
    rows_a_band,
    signatures_of,
)
from processors.curation.seal.near import Duplicates, Sketches, find_duplicates, merge, sketch
from processors.curation.seal.shingles import Array, Shingles, shingles
from tests.processors.alike import expected, grams, jaccard

WORDS = st.sampled_from(["a", "b", "c", "d", "中", "文", "ไ", "é", "𠀀"])
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.lists(WORDS, max_size=8).map("".join)
CORPUS = st.lists(st.tuples(TEXTS, st.integers(0, 3)), max_size=16)
ENGINE = RensaLsh(0.8)
LETTERS = [f"w{n}" for n in range(3000)]


class Texts:
    """Texts that can be read again; counts what was."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self.read = 0

    def __call__(self, rows: Any) -> list[str]:
        self.read += len(rows)
        return [self.texts[row] for row in rows.tolist()]


def found(
    texts: Sequence[str],
    ranks: Sequence[int] | None = None,
    forbidden: Sequence[str] = (),
    engine: Any = ENGINE,
    sketches: Sketches | None = None,
) -> Duplicates:
    order = np.array(ranks if ranks is not None else [0] * len(texts), np.int64)
    held = sketches or sketch(texts, engine)
    return find_duplicates(held, order, Texts(texts), engine, forbidden)


def named(duplicates: Duplicates) -> list[str]:
    return [Fate(fate).name for fate in duplicates.fates]


def same(left: Duplicates, right: Duplicates) -> bool:
    columns: Any = zip(left, right, strict=True)
    return all(np.array_equal(one, other) for one, other in columns)


class DatasketchLsh(RensaLsh):
    """Another library's MinHash behind the same port."""

    def sign(self, sets: Shingles) -> Signatures:
        from datasketch import MinHash

        slots = np.empty((len(sets.sizes), SLOTS), np.uint32)
        for number in range(len(slots)):
            held = MinHash(SLOTS, seed=1, hashfunc=lambda value: value & 0xFFFF_FFFF)
            held.update_batch(sets.take(np.array([number])).hashes.tolist())
            slots[number] = held.hashvalues
        return signatures_of(slots, rows_a_band(self.threshold))


def words(dice: random.Random, count: int) -> list[str]:
    return dice.choices(LETTERS, k=count)


@given(CORPUS, st.lists(TEXTS, max_size=3), st.sampled_from([0.5, 0.55, 0.7, 0.8, 1.0]))
def test_fates_and_clusters_are_those_of_brute_force(
    corpus: list[tuple[str, int]], forbidden: list[str], threshold: float
) -> None:
    texts, ranks = [text for text, _ in corpus], [rank for _, rank in corpus]
    result = found(texts, ranks, forbidden, RensaLsh(threshold))
    assert (named(result), result.clusters.tolist()) == expected(texts, ranks, threshold, forbidden)
    for row, kept in enumerate(result.kept.tolist()):
        assert (kept >= 0) is (Fate(result.fates[row]).name.endswith("DUPLICATE"))
        if kept >= 0:
            assert result.fates[kept] == Fate.KEPT
            assert jaccard(texts[row], texts[kept]) >= threshold
            assert result.clusters[row] == result.clusters[kept]


@pytest.mark.parametrize("engine", [ENGINE, DatasketchLsh(0.8)], ids=["rensa", "datasketch"])
def test_every_engine_finds_what_brute_force_finds(engine: MinHashLsh) -> None:
    texts = corpus(random.Random(9), 400)
    signatures = sketch(texts, engine).signatures
    left, right = np.array(list(combinations(range(0, 400, 20), 2))).T
    errors = engine.estimate(signatures, left, right) - [
        jaccard(texts[i], texts[j]) for i, j in zip(left.tolist(), right.tolist(), strict=True)
    ]
    assert abs(errors).max() < 0.2
    result = found(texts, engine=engine)
    assert (named(result), result.clusters.tolist()) == expected(texts, [0] * 400, 0.8, [])
    assert same(result, found(texts))


@given(st.lists(TEXTS, min_size=1, max_size=12))
def test_shingles_are_the_grams(texts: list[str]) -> None:
    folded = [fold(text) for text in texts]
    sets = shingles(folded)
    known: dict[int, str] = {}
    for number, text in enumerate(folded):
        hashes = sets.hashes[sets.starts[number] : sets.starts[number + 1]].tolist()
        assert hashes == sorted(set(hashes))
        alone = shingles([text])
        assert alone.hashes.tolist() == hashes
        assert len(hashes) == len(grams(text))
        for value in hashes:
            known.setdefault(value, text)
    every = {gram for text in folded for gram in grams(text)}
    assert len(known) == len(every)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=12))
def test_the_similarity_is_exact(pairs: list[tuple[str, str]]) -> None:
    texts = [fold(text) for pair in pairs for text in pair]
    left = np.arange(0, len(texts), 2)
    measured = similarities(left, left + 1, shingles(texts).sizes, Texts(texts))
    assert measured.tolist() == [jaccard(*texts[n : n + 2]) for n in left.tolist()]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_characters_can_be_shingled(left: str, right: str) -> None:
    texts = [fold(left), fold(right)]
    one = found(texts)
    assert one.fates[0] == Fate.KEPT
    assert (one.fates[1] == Fate.EXACT_DUPLICATE) == (texts[0] == texts[1])


def test_a_text_that_was_not_folded_is_refused() -> None:
    with pytest.raises(ValueError, match="not folded"):
        shingles(["a\nb"])


@settings(max_examples=25)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 120), max_size=6))
def test_the_batches_make_no_difference(dice: random.Random, cuts: list[int]) -> None:
    texts = corpus(dice, 120)
    edges = [0, *sorted(cuts), len(texts)]
    parts = [sketch(texts[begin:end], ENGINE) for begin, end in pairwise(edges)]
    ranks = [dice.randrange(3) for _ in texts]
    assert same(found(texts, ranks), found(texts, ranks, sketches=merge(parts)))


@settings(max_examples=25)
@given(st.randoms(use_true_random=False))
def test_the_order_of_equal_rows_is_all_that_the_order_decides(dice: random.Random) -> None:
    texts = corpus(dice, 80)
    ranks = dice.sample(range(1000), len(texts))
    turned = dice.sample(range(len(texts)), len(texts))
    one = found(texts, ranks)
    other = found([texts[n] for n in turned], [ranks[n] for n in turned])
    assert one.fates[turned].tolist() == other.fates.tolist()
    together = one.clusters[turned][:, None] == one.clusters[turned][None, :]
    assert (together == (other.clusters[:, None] == other.clusters[None, :])).all()


def corpus(dice: random.Random, count: int) -> list[str]:
    """Texts, copies, altered copies and copies of those."""
    texts = [" ".join(words(dice, dice.randrange(1, 30))) for _ in range(count // 2)]
    while len(texts) < count:
        changed = dice.choice(texts).split()
        changed[dice.randrange(len(changed))] = dice.choice(LETTERS)
        texts.append(" ".join(changed))
    return texts


def _signed(texts: list[str]) -> Sketches:
    return sketch(texts, RensaLsh(0.8))


def test_the_number_of_processes_makes_no_difference() -> None:
    texts = corpus(random.Random(1), 3_000)
    alone = found(texts)
    for processes in (1, 2, 3):
        share = -(-len(texts) // processes)
        parts = [texts[at : at + share] for at in range(0, len(texts), share)]
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            assert same(found(texts, sketches=merge(list(pool.map(_signed, parts)))), alone)
    assert np.bincount(alone.fates, minlength=3)[Fate.NEAR_DUPLICATE] > 150


def test_a_million_equal_texts_are_one() -> None:
    part = sketch(["the same text each time it is asked"] * 100_000, ENGINE)
    texts = ["the same text each time it is asked"] * 1_000_000
    result = found(texts, sketches=merge([part] * 10))
    assert np.bincount(result.fates).tolist() == [1, 999_999]
    assert not result.clusters.any()


def template(dice: random.Random, own: int, shared: int) -> str:
    return " ".join([*words(dice, own), *LETTERS[:shared]])


class CountingLsh(RensaLsh):
    """Counts the pairs whose similarity was estimated."""

    estimated = 0

    def estimate(self, signatures: Signatures, left: Array, right: Array) -> Array:
        self.estimated += len(left)
        return super().estimate(signatures, left, right)


def searched(texts: Sequence[str]) -> tuple[Duplicates, float, float]:
    """What was found; for each text how many pairs were estimated, and how often one was read."""
    engine, read = CountingLsh(0.8), Texts(texts)
    result = find_duplicates(sketch(texts, engine), np.zeros(len(texts), np.int64), read, engine)
    return result, engine.estimated / len(texts), read.read / len(texts)


@pytest.mark.parametrize("count", [2_000, 8_000])
def test_one_template_with_small_differences_is_one_text(count: int) -> None:
    dice = random.Random(2)
    result, estimated, read = searched([template(dice, 4, 60) for _ in range(count)])
    assert np.bincount(result.fates)[Fate.KEPT] < 5
    assert not result.clusters.any()
    assert estimated < 10
    assert read < 4


@pytest.mark.parametrize("count", [2_000, 8_000])
def test_one_template_with_large_differences_does_not_compare_all_with_all(count: int) -> None:
    """Every two at 0.72, so that the signatures propose nearly all pairs and none is one."""
    dice = random.Random(3)
    texts = [template(dice, 10, 60) for _ in range(count)]
    assert 0.68 < jaccard(texts[0], texts[1]) < 0.76
    copies = [f"{text} w1 w5" for text in texts[: count // 10]]
    result, estimated, read = searched([*texts, *copies])
    assert (result.fates[:count] == Fate.KEPT).mean() > 0.999
    assert (result.fates[count:] == Fate.NEAR_DUPLICATE).mean() > 0.95
    assert result.crowded > 0.9 * count
    assert estimated < 500
    assert read < 40


def test_texts_of_a_megabyte_are_compared_a_few_at_a_time() -> None:
    dice = random.Random(5)
    long = words(dice, 170_000)
    texts = [
        " ".join(long),
        " ".join([*long[:160_000], *words(dice, 10_000)]),
        " ".join(words(dice, 170_000)),
        "中文" * 400_000,
    ]
    assert min(map(len, texts)) > 799_999
    assert named(found(texts)) == ["KEPT", "NEAR_DUPLICATE", "KEPT", "KEPT"]


@pytest.mark.parametrize(
    ("left", "right", "alike"),
    [
        (
            "请帮我预订明天从北京到上海的机票，谢谢您",
            "请帮我预订明天从北京到上海的机票，谢谢你",
            True,
        ),
        ("请帮我预订明天从北京到上海的机票，谢谢您", "请告诉我今天广州的天气怎么样", False),
        (
            "東京から大阪まで新幹線の切符を予約してください",
            "東京から大阪まで新幹線の切符を予約して下さい",
            False,
        ),
        ("ช่วยจองตั๋วเครื่องบินไปเชียงใหม่พรุ่งนี้เช้าด้วยครับ", "ช่วยจองตั๋วเครื่องบินไปเชียงใหม่พรุ่งนี้เช้าด้วยค่ะ", True),
        (
            "book flight 北京 to 上海 for me please tomorrow",
            "book flight 北京 to 上海 for me today",
            False,
        ),
    ],
)
def test_scripts_without_spaces_have_words_too(left: str, right: str, alike: bool) -> None:  # noqa: FBT001
    assert (jaccard(left, right) >= 0.8) is alike
    assert (named(found([left, right]))[1] == "NEAR_DUPLICATE") is alike


def test_case_and_space_do_not_tell_texts_apart() -> None:
    assert named(found([fold("A  trip\nto\u3000Lyon"), fold(" a Trip to lyon ")])) == [
        "KEPT",
        "EXACT_DUPLICATE",
    ]


def test_nothing_resembles_a_golden_case_and_its_relatives_stay_together() -> None:
    case = " ".join(LETTERS[:20])
    texts = [case, f"{case} x", f"{case} x y z u v", "something else altogether is kept"]
    result = found(texts, forbidden=[case, case])
    assert named(result) == ["GOLDEN", "GOLDEN", "KEPT", "KEPT"]
    assert result.clusters.tolist() == [0, 0, 0, 3]
    assert result.kept.tolist() == [-1] * 4


def test_golden_cases_count_in_a_crowd() -> None:
    dice = random.Random(6)
    cases = [template(dice, 10, 60) for _ in range(30)]
    texts = [template(dice, 10, 60) for _ in range(400)]
    result = found([*texts, *(f"{case} w1" for case in cases)], forbidden=cases)
    assert (result.fates[400:] == Fate.GOLDEN).all()


def test_only_what_resembles_another_is_read_again() -> None:
    dice = random.Random(7)
    texts = Texts([" ".join(words(dice, 40)) for _ in range(2_000)])
    find_duplicates(sketch(texts.texts, ENGINE), np.zeros(2_000, np.int64), texts, ENGINE)
    assert texts.read == 0


def test_nothing_gives_nothing() -> None:
    assert [len(column) for column in found([])[:3]] == [0, 0, 0]
    assert named(found([], forbidden=["a case"])) == []


def test_an_example_costs_what_the_docstring_says() -> None:
    sketches = sketch(corpus(random.Random(8), 1_000), ENGINE)
    columns = (sketches.digests, sketches.sizes, *sketches.signatures)
    assert sum(column.nbytes for column in columns) == 248 * 1_000


@given(st.floats(0.05, 1.0))
def test_a_pair_at_the_threshold_is_surely_proposed(threshold: float) -> None:
    rows = rows_a_band(threshold)
    assert rows == 1 or 1 - (1 - threshold**rows) ** (SLOTS // rows) >= 0.9999


edges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=120)


@given(edges, st.integers(0, 4))
def test_greedy_fates_are_those_of_one_after_the_other(
    pairs: list[tuple[int, int]], golden: int
) -> None:
    links = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    left, right = np.array(links, np.int64).reshape(-1, 2).T
    expected_fates = ["KEPT"] * 61
    for number in range(golden, 61):
        before = [one for one, other in links if other == number]
        if any(one < golden for one in before):
            expected_fates[number] = "GOLDEN"
        elif any(expected_fates[one] == "KEPT" for one in before):
            expected_fates[number] = "NEAR_DUPLICATE"
    assert [Fate(fate).name for fate in fates(61, golden, left, right)] == expected_fates


def test_a_long_chain_is_every_other_text() -> None:
    left = np.arange(99_999)
    result = fates(100_000, 0, left, left + 1)
    assert (result == np.where(np.arange(100_000) % 2, Fate.NEAR_DUPLICATE, Fate.KEPT)).all()
