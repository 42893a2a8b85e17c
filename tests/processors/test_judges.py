"""Judges: worth what they were measured to be, and no more than 70 before that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.curation.quality import verdicts, withheld
from benchmarks.curation.runs import tau
from processors.curation.judges import UNCALIBRATED, Floats, Judged, calibrate, judged
from processors.curation.score import joined_quality, quality

NAN = float("nan")
part = st.floats(0, 1) | st.just(NAN)
parts = st.tuples(part, part, part, part)


def column(value: float) -> Floats:
    return np.array([value])


def score(found: tuple[float, ...], word: float = NAN, ceiling: float = UNCALIBRATED) -> float:
    """Outcome, gates, health and expected, with a word: the joined quality."""
    outcome, gates, health, expected = map(column, found)
    said = Judged(column(word), column(ceiling))
    return float(joined_quality(outcome, gates, health, expected, said)[0])


def record(praised: int, right: int) -> Any:
    """A judge who praised so often, and was right so often."""
    ended = np.repeat([1.0, 0.0], [right, praised - right])
    return calibrate(np.zeros(praised, np.int64), np.ones(praised), ended, 1)


@given(parts, st.floats(0, 1))
def test_a_word_alone_never_lifts_a_score_above_70(found: tuple[float, ...], word: float) -> None:
    before, after = score(found), score(found, word)
    assert after <= max(UNCALIBRATED, 0 if np.isnan(before) else before) + 1e-6
    assert 0 <= after <= 100


@given(parts, st.floats(0, 1), st.floats(0, 1))
def test_a_better_word_never_lowers_a_score(
    found: tuple[float, ...], one: float, other: float
) -> None:
    assert score(found, max(one, other)) >= score(found, min(one, other)) - 1e-6


@given(st.tuples(st.floats(0, 1), part, part))
def test_without_judges_it_is_the_quality_of_the_event(found: tuple[float, ...]) -> None:
    names = ("outcome", "gates", "health")
    known = {name: value for name, value in zip(names, found, strict=True) if not np.isnan(value)}
    assert score((*found, NAN)) == pytest.approx(quality(known), abs=1e-5)


def test_praise_lifts_to_the_ceiling_and_blame_lowers() -> None:
    poor = (0.65, NAN, NAN, NAN)
    assert score(poor) == 65
    assert score(poor, 1.0) == 70
    assert score(poor, 1.0, 90.0) == pytest.approx(100 * (0.6 * 0.65 + 0.2) / 0.8)
    assert score((1.0, NAN, NAN, NAN), 1.0) == 100
    assert score((1.0, NAN, NAN, NAN), 0.0) == 75
    assert score((NAN, NAN, NAN, NAN), 1.0) == 70
    assert score((NAN, NAN, NAN, NAN), 1.0, 90.0) == 90
    assert score((NAN, NAN, NAN, 0.5)) == 35
    assert np.isnan(score((NAN, NAN, NAN, NAN)))


@pytest.mark.parametrize(
    ("praised", "right", "ceiling"), [(0, 0, 70), (5, 5, 70), (1000, 500, 70), (50, 50, 92.87), (1000, 900, 87.99)]
)  # fmt: skip
def test_a_ceiling_is_the_lower_bound_of_being_right(
    praised: int, right: int, ceiling: float
) -> None:
    assert record(praised, right).ceilings()[0] == pytest.approx(ceiling, abs=0.01)


def test_a_word_means_what_it_meant_before() -> None:
    judges, words = np.zeros(2, np.int64), np.array([1.0, 0.0])
    assert list(record(0, 0).meanings(judges, words)) == [1.0, 0.0]
    assert list(record(98, 48).meanings(judges, words)) == [0.5, 0.0]
    unknown = calibrate(np.zeros(4, np.int64), np.ones(4), np.full(4, NAN), 1)
    assert not unknown.pairs.any()


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.floats(0, 1), st.sampled_from([0.0, 1.0])),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_order_of_words_does_not_matter(said: list[Any], dice: Any) -> None:
    def joined(entries: list[Any]) -> Judged:
        runs, judges, words, ended = (np.array([e[n] for e in entries]) for n in range(4))
        runs, judges = runs.astype(np.int64), judges.astype(np.int64)
        found = calibrate(judges, words.astype(float), ended.astype(float), 3)
        return judged(runs, judges, words.astype(float), found, 5)

    turned = said[:]
    dice.shuffle(turned)
    one, other = joined(said), joined(turned)
    assert np.array_equal(one.word, other.word, equal_nan=True)
    assert np.array_equal(one.ceiling, other.ceiling)
    spoken = {entry[0] for entry in said}
    assert [not np.isnan(word) for word in one.word] == [run in spoken for run in range(5)]


def test_the_ceiling_is_that_of_the_most_trusted_judge_who_praised() -> None:
    judges = np.repeat([0, 1], 200)
    ended = np.concatenate([np.ones(200), np.tile([1.0, 0.0], 100)])
    found = calibrate(judges, np.ones(400), ended, 2)
    runs, who = np.array([0, 1, 1, 2]), np.array([0, 0, 1, 1])
    some = judged(runs, who, np.array([1.0, 0.0, 1.0, 1.0]), found, 4)
    assert some.ceiling[0] > 95
    assert list(some.ceiling[1:]) == [70, 70, 70]
    assert np.isnan(some.word[3])


def test_a_window_without_words_has_none() -> None:
    none, no = np.empty(0, np.int64), np.empty(0)
    found = judged(none, none, no, calibrate(none, no, no, 0), 3)
    assert np.isnan(found.word).all()
    assert list(found.ceiling) == [UNCALIBRATED] * 3


@pytest.mark.data
def test_real_judges_lift_nothing_above_70_and_are_seen_through(shared_data: Path) -> None:
    seen = withheld(list(tau(shared_data)))
    words = verdicts(shared_data, seen)
    assert len(words.said) == 200
    found = calibrate(words.judges, words.said, words.ended, len(words.names))
    assert (found.ceilings() == UNCALIBRATED).all(), (
        "the best of them is right in 62 % of its praise"
    )
    absent = np.full(len(seen.runs), NAN)
    some = judged(words.runs, words.judges, words.said, found, len(seen.runs))
    assert np.nanmax(joined_quality(absent, absent, seen.health, absent, some)) <= UNCALIBRATED
    best, worst = (words.names.index(n) for n in ("policy_conversation_v1", "customer_outcome_v1"))
    both = np.array([1.0, 0.0])
    good = found.meanings(np.full(2, best), both)
    bad = found.meanings(np.full(2, worst), both)
    assert good[0] - good[1] > 0.3
    assert bad[0] < bad[1], "its blame goes to runs that ended well more often than its praise"
