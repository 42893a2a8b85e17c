"""Golden cases: trusted, few, chosen once, and never in training in any disguise."""

from __future__ import annotations

import random
from typing import Any

import pytest

from processors.curation.seal.conversation import asked as prompt_of
from schemas.datasets import GoldenCase, Recipe
from schemas.rows import Row
from tests.processors.small import (
    FEEDBACK,
    OFFSETS,
    answer,
    edited,
    names,
    prompt,
    run,
    similarity,
    user,
)
from tests.processors.window import RECIPE, SealedWindow
from tests.sealing import choose_golden, seal
from tests.support import call


def chosen(rows: list[Row], **recipe: Any) -> list[GoldenCase]:
    return choose_golden(rows, Recipe(**recipe), OFFSETS)


def numbers(cases: list[GoldenCase]) -> list[int]:
    return [int(case.case_id.rpartition(":")[2]) for case in cases]


@pytest.mark.parametrize(
    ("runs", "size", "expected"),
    [(50, 100, 10), (50, 3, 3), (50, 0, 0), (4, 100, 0), (5, 100, 1), (9, 100, 1), (0, 100, 0)],
)
def test_never_more_than_a_fifth_of_the_window(runs: int, size: int, expected: int) -> None:
    assert len(chosen([run(n) for n in range(runs)], golden_size=size)) == expected


def test_the_fifth_is_of_distinct_prompts() -> None:
    copies = [run(n, user("the same"), answer(call(n=n))) for n in range(50)]
    assert chosen(copies) == []


def test_the_choice_depends_on_the_seed_and_on_nothing_else(window: SealedWindow) -> None:
    rows = [run(n) for n in range(60)]
    shuffled = random.Random(5).sample(rows, len(rows))
    assert chosen(shuffled) == chosen(rows)
    assert numbers(chosen(rows)) == sorted(numbers(chosen(rows)))
    assert numbers(chosen(rows, seed=1)) != numbers(chosen(rows))
    mixed = random.Random(6).sample(window.rows, len(window.rows))
    assert choose_golden(mixed, RECIPE, window.offsets) == window.golden
    assert len(window.golden) == RECIPE.golden_size


@pytest.mark.parametrize(
    ("facts", "edit", "trusted"),
    [
        ({"trust": "verified"}, None, True),
        ({"trust": "internal"}, None, True),
        ({"trust": "external"}, None, False),
        ({"trust": None}, None, False),
        ({"trust": "external"}, "expert", True),
        ({"trust": "external"}, "reviewer", True),
        ({"trust": "verified"}, "expert of an outsider", False),
        ({"trust": "verified"}, "judge", False),
        ({"trust": "verified"}, "user", False),
    ],
    ids=str,
)
def test_only_what_is_trusted_is_golden(facts: Any, edit: str | None, trusted: object) -> None:
    rows = [run(n, **facts) for n in range(5)]
    role, _, outside = (edit or "").partition(" of ")
    by = {"trust": "external"} if outside else {}
    edits = [edited(n, n, "right", role, **by) for n in range(5)] if edit else []
    assert bool(chosen([*rows, *edits])) is trusted


def test_a_case_asks_once_and_knows_the_answer() -> None:
    system, question = {"role": "system", "content": "s"}, user(prompt(1))
    calling, telling = answer(call("book", to="x")), answer(content="done")
    for turn, grader in ((calling, "tool_call"), (telling, "exact")):
        (case,) = chosen(
            [run(1, system, question, turn), *(run(n, trust=None) for n in range(2, 6))]
        )
        assert (case.messages, case.expected, case.grader) == ([system, question], turn, grader)
        assert (case.case_id, case.task, case.prompt_digest) == (
            "c:execution.completed:0:1",
            "task-1",
            "prompt-1",
        )
    twice = run(1, question, calling, user("and then?"), telling)
    assert chosen([twice, *(run(n, trust=None) for n in range(2, 6))]) == []


def test_a_case_says_whose_its_row_and_its_answer_are() -> None:
    others = [run(n, trust=None) for n in range(2, 6)]
    by = {"source": "urn:desk", "user": "ann's"}
    (mended,) = chosen([run(1, user="bob's"), edited(7, 1, "right", **by), *others])
    assert (mended.user, mended.source) == ("bob's", "urn:test")
    assert (mended.label_row, mended.label_source, mended.label_user) == (
        f"c:{FEEDBACK}:0:7",
        "urn:desk",
        "ann's",
    )
    (plain,) = chosen([run(1), *others])
    assert (plain.label_row, plain.label_source, plain.label_user) == (None, None, None)


def test_a_golden_case_is_in_training_in_no_disguise() -> None:
    words = prompt(1).split()
    (case,) = chosen([run(1), *(run(n, trust=None) for n in range(2, 6))])
    near = " ".join([*words[:-1], "else"])
    disguised = [
        run(1),
        run(11, user(near), answer(call())),
        run(12, user(prompt(1).upper()), answer(call())),
        run(13, task="task-1"),
        run(14, prompt_digest="prompt-1"),
    ]
    rows = [*disguised, run(20), run(21)]
    found = seal(rows, Recipe(), OFFSETS, [case])
    assert names(found) == [20, 21]
    assert found.dropped == {"golden": 5}
    assert names(seal(rows, Recipe(), OFFSETS)) == [1, 13, 14, 20, 21]
    edits = [edited(n, n, "right") for n in (11, 12, 13, 14)]
    assert names(seal([*rows, *edits], Recipe(), OFFSETS, [case])) == [20, 21]


def test_no_golden_case_of_the_window_is_in_training(window: SealedWindow) -> None:
    examples, cases = window.beside.examples, window.golden
    assert not {e.row_id for e in examples} & {case.case_id for case in cases}
    assert not {e.task for e in examples} & {case.task for case in cases}
    assert not {e.prompt_digest for e in examples} & {case.prompt_digest for case in cases}
    asked = [prompt_of(list(example.messages)) for example in examples]
    golden = [prompt_of(case.messages) for case in cases]
    assert all(similarity(text, other) < 0.8 for other in golden for text in asked)
    assert window.beside.dropped["golden"] > len(cases)


def test_nobody_who_is_asked_in_golden_is_in_training() -> None:
    """400 runs of 80 people in sessions of two: whole people are golden or not."""
    rows = [run(n, user=f"u{n % 80}", session=f"s{n // 2 % 100}-{n % 80}") for n in range(400)]
    cases = chosen(rows, golden_size=40)
    assert len(cases) >= 30
    found = seal(rows, Recipe(), OFFSETS, cases)
    assert found.examples
    assert not {e.user for e in found.examples} & {case.user for case in cases}
    assert not {e.session for e in found.examples} & {case.session for case in cases}
    assert found.dropped["golden"] <= 400 / 5


def test_a_person_with_most_of_the_traffic_stays_in_training() -> None:
    rows = [run(n, user="everybody" if n < 80 else f"u{n}") for n in range(100)]
    cases = chosen(rows, golden_size=100)
    assert cases
    assert "everybody" not in {case.user for case in cases}
    assert chosen(rows[:80], golden_size=100) == []
