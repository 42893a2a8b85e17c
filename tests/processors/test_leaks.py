"""The checker of sealed datasets finds what must not be, and agrees with the tests' own."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pyarrow as pa
import pytest

from processors.curation.seal.leaks import (
    FACTS,
    SCHEMA,
    crossing,
    example_lines,
    golden_inside,
    pair_lines,
)
from schemas.datasets import Example, GoldenCase, Pair, Split
from tests.leaks import crossing_groups, leaks
from tests.processors.small import answer, edited, prompt, run, sealed, user


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    """A clean dataset, some of it corrected."""
    rows = [run(n, session=f"s{n // 2}", user=f"u{n // 4}", domain="d") for n in range(80)]
    labels = [edited(n, n, f"right {n}") for n in range(0, 80, 9)]
    return sealed([*rows, *labels], min_examples=1).examples


def table(*items: Example | Pair) -> pa.Table:
    lines = [
        line
        for item in items
        for line in (example_lines(item) if isinstance(item, Example) else pair_lines(item))
    ]
    return pa.Table.from_pylist(lines, schema=SCHEMA)


def test_a_sealed_dataset_has_nothing_in_two_parts(examples: tuple[Example, ...]) -> None:
    assert {example.split for example in examples} == set(Split)
    assert crossing(table(*examples)) == dict.fromkeys(FACTS, 0)
    rows = [asdict(example) for example in examples]
    assert not leaks(rows)
    assert not crossing_groups(rows)


@pytest.mark.parametrize("fact", FACTS)
def test_one_fact_in_two_parts_is_found(examples: tuple[Example, ...], fact: str) -> None:
    one = next(example for example in examples if example.split is Split.TEST)
    other = next(example for example in examples if example.split is Split.TRAIN)
    special: dict[str, dict[str, Any]] = {
        "row": {"row_id": one.row_id},
        "prompt": {"messages": (*one.messages[:-1], answer(content="else"))},
    }
    stolen = special.get(fact) or {fact: getattr(one, fact)}
    found = crossing(table(*examples, replace(other, **stolen)))
    assert found[fact] == 1
    assert sum(found.values()) == 1


def test_both_sides_of_a_pair_belong_to_its_part(examples: tuple[Example, ...]) -> None:
    test = next(example for example in examples if example.split is Split.TEST)
    pair = Pair(
        chosen_row="elsewhere",
        rejected_row=test.row_id,
        label_row=None,
        split=Split.TRAIN,
        margin=1.0,
        messages=(user(prompt(9_000)),),
        chosen=(answer(content="a"),),
        rejected=(answer(content="b"),),
        tools=(),
    )
    assert crossing(table(*examples, pair))["row"] == 1
    moved = replace(pair, split=Split.TEST)
    assert not sum(crossing(table(*examples, moved)).values())


def test_a_golden_case_in_a_dataset_is_found(examples: tuple[Example, ...]) -> None:
    one = examples[0]
    apart = GoldenCase(
        case_id="r", task="t", prompt_digest="p", messages=[user("no such")], expected={}
    )
    assert not sum(golden_inside(table(*examples), [apart]).values())
    changes: dict[str, dict[str, Any]] = {
        "row": {"case_id": one.row_id},
        "task": {"task": one.task},
        "session": {"session": one.session},
        "user": {"user": one.user},
        "prompt_digest": {"prompt_digest": one.prompt_digest},
        "prompt": {"messages": [user(f"  {one.messages[0]['content'].upper()}")]},
    }
    for fact, change in changes.items():
        found = golden_inside(table(*examples), [apart.model_copy(update=change)])
        assert [name for name, count in found.items() if count] == [fact]
