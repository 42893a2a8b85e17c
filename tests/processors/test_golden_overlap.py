"""What resembles a golden case: the same as comparing every pair."""

from __future__ import annotations

import random

import pytest

from processors.curation.golden_overlap import resembling


def grams(text: str) -> set[str]:
    words = text.split()
    return {" ".join(words[n : n + 3]) for n in range(max(1, len(words) - 2))}


def alike(left: str, right: str) -> float:
    one, other = grams(left), grams(right)
    return len(one & other) / len(one | other)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 1.0])
def test_every_pair_at_the_threshold_is_found_and_no_other(threshold: float) -> None:
    dice = random.Random(1)
    cases = [" ".join(dice.choices("abcdefgh", k=dice.randrange(1, 30))) for _ in range(20)]
    prompts = list(cases)
    for text in cases * 10:
        words = text.split()
        words[dice.randrange(len(words))] = dice.choice("abcxyz")
        prompts.append(" ".join(words))
    wanted = {
        (p, c)
        for p, prompt in enumerate(prompts)
        for c, case in enumerate(cases)
        if alike(prompt, case) >= threshold
    }
    assert set(resembling(prompts, cases, threshold)) == wanted
    assert len(wanted) > len(cases)


def test_nothing_resembles_nothing() -> None:
    assert resembling([], ["a b c"], 0.8) == []
    assert resembling(["a b c"], [], 0.8) == []
