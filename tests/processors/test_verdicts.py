"""Judges at the seal: praise lifts no run above 70 before the judge is calibrated, on the window's own outcomes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from processors.curation.judges import UNCALIBRATED
from processors.curation.score import parts_json, quality
from processors.curation.seal.outcome import outcome
from schemas.datasets import Recipe
from schemas.events import PLAN
from schemas.rows import Row
from tests.processors.small import OFFSETS, names, prompt, run, said, sealed
from tests.processors.small import decided as a_person_says
from tests.sealing import decided


def plan(number: int, **changes: Any) -> Row:
    """A plan of which nobody says whether it was right."""
    steps = [{"id": "a", "tool": "search"}]
    facts: dict[str, Any] = {
        "type": PLAN,
        "trust": "external",
        "quality": None,
        "quality_parts": "{}",
        "content": json.dumps({"goal": prompt(number), "steps": steps}),
    }
    return run(number, **{**facts, **changes})


def ended(number: int, **parts: float) -> Row:
    """A run whose environment said how it ended: well, badly, or in between."""
    stated = {"outcome": 1.0, **parts}
    return run(
        number,
        success={1.0: True, 0.0: False}.get(stated["outcome"]),
        quality_parts=parts_json(stated),
        quality=quality(stated),
    )


def judged(offset: int, number: int, word: float = 1.0, name: str = "judge-1") -> Row:
    """What a judge says of a run, 0–1."""
    return said(offset, number, "score", value=word, author=name, author_role="judge")


def calibrated(right: int, wrong: int = 0, first: int = 100) -> list[Row]:
    """A judge's record: runs that it praised, so many of which ended well."""
    rows = [ended(first + n, outcome=float(n < right)) for n in range(right + wrong)]
    return [*rows, *(judged(first + n, first + n) for n in range(right + wrong))]


def said_of(rows: Iterable[Row], number: int, **recipe: Any) -> dict[str, Any]:
    """What the seal says of one run."""
    table = outcome(decided(rows, Recipe(**recipe), OFFSETS)).to_pylist()
    (found,) = (dict(line) for line in table if line["row_id"].endswith(f":{number}"))
    return found


REVIEW = ("REVIEW", "unverified_quality")


def test_praise_of_an_unknown_judge_leaves_a_plan_to_a_person() -> None:
    found = said_of([plan(1), judged(1, 1)], 1)
    assert (found["selection"], found["reason"]) == REVIEW
    assert found["quality"] == UNCALIBRATED
    assert found["split"] is None


@pytest.mark.parametrize("record", [(3, 0), (8, 0), (25, 25), (40, 10)], ids=str)
def test_praise_that_was_not_often_enough_right_lifts_nothing_above_70(
    record: tuple[int, int],
) -> None:
    found = said_of([plan(1), judged(1, 1), *calibrated(*record)], 1)
    assert found["selection"] != "ACCEPT"
    assert 0 < found["quality"] <= UNCALIBRATED


def test_praise_of_a_calibrated_judge_is_believed() -> None:
    rows = [plan(1), judged(1, 1), *calibrated(50)]
    found = said_of(rows, 1)
    assert (found["selection"], found["reason"]) == ("ACCEPT", "")
    assert 70 < found["quality"] <= 92.9, "50 of 50: the lower bound of being right"
    assert 1 in names(sealed(rows))
    other = [plan(1), judged(1, 1, name="judge-2"), *calibrated(50)]
    assert (said_of(other, 1)["selection"], said_of(other, 1)["reason"]) == REVIEW


def test_a_calibrated_judge_s_blame_is_no_praise() -> None:
    found = said_of([plan(1), judged(1, 1, 0.1), *calibrated(50)], 1)
    assert (found["selection"], found["reason"]) == ("REJECT", "low_quality")


def test_a_stricter_recipe_asks_for_more_than_the_judge_is_worth() -> None:
    rows = [plan(1), judged(1, 1), *calibrated(50)]
    assert said_of(rows, 1, min_quality=92)["selection"] == "ACCEPT"
    assert said_of(rows, 1, min_quality=95)["selection"] != "ACCEPT"


@pytest.mark.parametrize("share", [0.1, 0.3, 0.65, 0.7])
def test_praise_lifts_no_poor_outcome_above_70(share: float) -> None:
    rows = [ended(1, outcome=share), judged(1, 1), ended(2, outcome=share)]
    praised, silent = said_of(rows, 1), said_of(rows, 2)
    assert silent["quality"] == pytest.approx(100 * share)
    assert silent["quality"] <= praised["quality"] <= UNCALIBRATED
    assert (praised["quality"] > silent["quality"]) is (share < 0.7)


def test_praise_leaves_a_good_outcome_as_it_is_and_blame_lowers_it() -> None:
    rows = [ended(1), judged(1, 1), ended(2), judged(2, 2, 0.0), ended(3, gates=0.5)]
    praised, blamed, silent = (said_of(rows, number)["quality"] for number in (1, 2, 3))
    assert (praised, silent) == (100, quality({"outcome": 1.0, "gates": 0.5}))
    assert blamed < 90


def test_people_are_not_judges() -> None:
    """A thumb is a reward; it says nothing of what the run is worth. An accept does."""
    thumbed = [plan(1), said(1, 1, value=1.0)]
    assert (said_of(thumbed, 1)["selection"], said_of(thumbed, 1)["reason"]) == REVIEW
    assert said_of([*thumbed, a_person_says(2, 1, "accept")], 1)["selection"] == "ACCEPT"


@pytest.mark.parametrize(
    ("trust", "selection"), [("verified", "ACCEPT"), ("internal", "REVIEW"), ("external", "REVIEW"), (None, "REVIEW")]
)  # fmt: skip
def test_only_a_verified_library_needs_no_outcomes(trust: str | None, selection: str) -> None:
    assert said_of([plan(1, trust=trust)], 1)["selection"] == selection


def test_rows_that_are_left_out_calibrate_nobody() -> None:
    """The same praise, of runs that were erased or came twice: the judge's record is empty."""
    good = calibrated(50)
    rows = [plan(1), judged(1, 1), *good]
    assert said_of(rows, 1)["selection"] == "ACCEPT"
    gone = [
        row._replace(source="urn:gone")
        if row.feedback is None
        else row._replace(target_source="urn:gone")
        for row in good
    ]
    erasure = said(999, 0, "erasure", target_run=None, subject=json.dumps({"source": "urn:gone"}))
    assert said_of([plan(1), judged(1, 1), *gone], 1)["selection"] == "ACCEPT"
    found = said_of([plan(1), judged(1, 1), *gone, erasure], 1)
    assert (found["selection"], found["reason"]) == REVIEW
