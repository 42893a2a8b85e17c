"""The composite score: what is known counts, in its proportion; diversity and informativeness are what they say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.curation.seal.composite import Composite, composite, diversity, informativeness
from processors.curation.seal.minhash import RensaLsh
from processors.curation.seal.near import sketch
from tests.processors.alike import jaccard
from tests.processors.small import answer, only, prompt, run, sealed, user

ENGINE = RensaLsh(0.8)
NAMES = ("quality", "confidence", "diversity", "informativeness")
WEIGHTS = (0.6, 0.2, 0.1, 0.1)
LETTERS = [f"w{n}" for n in range(40)]
stated = st.none() | st.floats(0, 100)
sizes = st.lists(st.integers(0, 5_000).map(float), min_size=1, max_size=30)


def ranks_of(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).permutation(count).astype(np.uint64)


def kept_of(count: int, *left_out: int) -> Any:
    return ~np.isin(np.arange(count), left_out)


def scored(
    quality: Sequence[float | None],
    confidence: Sequence[float | None],
    texts: Sequence[str],
    information: Sequence[int],
    *left_out: int,
) -> Composite:
    columns = {"quality": quality, "confidence": confidence, "information": information}
    facts = pa.table({n: pa.array(c, pa.float64()) for n, c in columns.items()})
    signatures = sketch(texts, ENGINE).signatures
    kept = kept_of(len(texts), *left_out)
    return composite(facts, kept, signatures, ranks_of(len(texts)), ENGINE)


def diverse(texts: Sequence[str], *left_out: int, seed: int = 0) -> list[float]:
    kept = kept_of(len(texts), *left_out)
    found = diversity(sketch(texts, ENGINE).signatures, kept, ranks_of(len(texts), seed), ENGINE)
    return [float(one) for one in found]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(stated, stated.map(lambda c: c and c / 100), st.integers(0, 999)), max_size=8
    )
)
def test_a_score_is_the_weighted_mean_of_what_is_known(rows: list[Any]) -> None:
    texts = [prompt(number) for number in range(len(rows))]
    quality, confidence, information = zip(*rows, strict=True) if rows else ((), (), ())
    found = scored(quality, confidence, texts, information)
    for number in range(len(rows)):
        parts = [float(getattr(found, name)[number]) for name in NAMES]
        known = [(w, p) for w, p in zip(WEIGHTS, parts, strict=True) if not np.isnan(p)]
        expected = sum(w * p for w, p in known) / sum(w for w, _ in known)
        assert found.score[number] == pytest.approx(expected, abs=1e-4)
        assert bool(np.isnan(parts[0])) is (quality[number] is None)
        assert bool(np.isnan(parts[1])) is (confidence[number] is None)


def test_what_is_not_known_is_neither_praise_nor_blame() -> None:
    (alone,) = scored([90.0], [None], ["a b c d"], [100]).score
    assert alone == pytest.approx((0.6 * 90 + 0.1 * 50) / 0.7)
    texts = ["a b c d", "e f g h"]
    both = scored([90.0, None], [0.5, None], texts, [100, 100])
    assert both.diversity.tolist() == pytest.approx([100, 100], abs=3)
    parts = 0.6 * 90 + 0.2 * 50 + 0.1 * both.diversity[0] + 0.1 * 50
    assert both.score[0] == pytest.approx(parts)
    assert both.score[1] == pytest.approx((both.diversity[1] + 50) / 2)


def test_what_was_left_out_has_no_score_and_no_say() -> None:
    texts = ["a b c d", "e f g h", "a b c d", "a b c d"]
    found = scored([90.0] * 4, [None] * 4, texts, [100, 100, 9_000, 9_000], 2, 3)
    assert np.isnan(found.score[2:]).all()
    assert np.isnan(found.diversity[2:]).all()
    assert (
        found.diversity[:2].tolist()
        == scored([90.0] * 2, [None] * 2, texts[:2], [100] * 2).diversity.tolist()
    )
    assert found.informativeness[:2].tolist() == [50, 50]


@settings(max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from(LETTERS), max_size=20).map(" ".join), min_size=2, max_size=30)
)
def test_diversity_is_the_mean_distance_to_the_others(texts: list[str]) -> None:
    found = diverse(texts)
    for number, text in enumerate(texts):
        others = [1 - jaccard(text, other) for n, other in enumerate(texts) if n != number]
        assert 0 <= found[number] <= 1
        assert found[number] == pytest.approx(sum(others) / len(others), abs=0.2)


def test_a_text_near_the_others_is_less_diverse() -> None:
    template = " ".join(LETTERS[:20])
    texts = [f"{template} {LETTERS[20 + n]}" for n in range(10)]
    found = diverse([*texts, prompt(1)])
    assert max(found[:10]) < 0.35
    assert found[10] > 0.95
    assert np.isnan(diverse([prompt(1)])[0]), "nothing to be far from"
    assert np.isnan(diverse([prompt(1), prompt(2)], 1)[0])


def test_a_sample_stands_for_many_and_no_order_shows() -> None:
    dice = random.Random(4)
    common = " ".join(LETTERS[:12])
    texts = [f"{common} {n}x" if n % 4 else prompt(n) for n in range(400)]
    order = dice.sample(range(400), 400)
    ranks = ranks_of(400)
    every = np.ones(400, np.bool_)
    one = diversity(sketch(texts, ENGINE).signatures, every, ranks, ENGINE)
    turned = sketch([texts[n] for n in order], ENGINE).signatures
    other = diversity(turned, every, ranks[order], ENGINE)
    assert one[order].round(6).tolist() == other.round(6).tolist()
    alike = np.arange(400) % 4 > 0
    assert one[alike].max() < one[~alike].min()


@given(sizes, st.integers(0, 29))
def test_informativeness_grows_with_what_there_is_to_learn(found: list[float], out: int) -> None:
    kept = kept_of(len(found), out)
    values = informativeness(np.array(found), kept)
    assert np.isnan(values).tolist() == (~kept).tolist()
    inside = values[kept].tolist()
    assert all(0 <= value < 1 for value in inside)
    order = np.argsort(np.array(found)[kept], kind="stable")
    assert (np.diff(np.array(inside)[order]) >= 0).all()
    for size, value in zip(np.array(found)[kept].tolist(), inside, strict=True):
        median = max(float(np.median(np.array(found)[kept])), 1.0)
        assert (value > 0.5) is (size > median)


def test_what_repeats_itself_is_less_informative_than_its_length() -> None:
    said = " ".join(f"{n * 7919 % 10_007}" for n in range(300))
    same = "again " * (len(said) // 6)
    rows = [run(n, user(prompt(n)), answer(content=text)) for n, text in enumerate((said, same))]
    first, second = sealed(rows).examples
    assert first.informativeness is not None
    assert second.informativeness is not None
    assert first.informativeness > second.informativeness + 20


def test_a_poor_score_is_left_to_a_person() -> None:
    rows = [run(1, confidence=0.6), run(2, confidence=0.6, quality=70.0)]
    scores = {e.row_id[-1]: e.score for e in sealed(rows).examples}
    assert scores["2"] is not None
    assert scores["1"] is not None
    assert scores["1"] - scores["2"] == pytest.approx(0.6 * 20, abs=0.5)
    between = (scores["1"] + scores["2"]) / 2
    found = sealed(rows, min_score=between)
    assert [e.row_id[-1] for e in found.examples] == ["1"]
    assert found.dropped == {"low_score": 1}


def test_the_parts_of_a_score_stand_in_the_example() -> None:
    example = only([run(1, quality=90.0, confidence=0.75)])
    assert (example.quality, example.confidence, example.diversity) == (90, 75, None)
    assert example.informativeness == 50
    assert example.score == pytest.approx((0.6 * 90 + 0.2 * 75 + 0.1 * 50) / 0.9)
