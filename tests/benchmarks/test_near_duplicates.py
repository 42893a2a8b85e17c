"""The near-duplicate benchmark on few texts: all of its goals but speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.curation.near_duplicates import measure
from benchmarks.curation.real_texts import RECIPES, spliced

pytestmark = pytest.mark.data


def test_real_texts_and_real_records_meet_every_goal_but_speed(shared_data: Path) -> None:
    said: list[str] = []
    section = measure(shared_data, said.append, 4_000, 2_000)
    assert len(said) == 2
    missed = [line for line in section.lines if line.met is False and "speed" not in line.what]
    assert not missed
    assert all(recipe in section.text for recipe in RECIPES)


def test_copies_are_a_tenth_and_their_similarity_is_told(shared_data: Path) -> None:
    held = spliced(shared_data, 1_000, 1)
    assert len(set(held.texts)) > 990
    assert len(held.planted) == 100
    assert min(each[3] for each in held.planted) >= 0.6
    assert held == spliced(shared_data, 1_000, 1)
    assert held != spliced(shared_data, 1_000, 2)
