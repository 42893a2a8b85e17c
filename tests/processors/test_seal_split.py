"""The split: nothing leaks across it, and its shares are what the recipe says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors.curation.seal.candidates import Candidate, select
from processors.curation.seal.split import split
from schemas.datasets import Example, Recipe, Split
from tests.processors.small import answer, names, run, sealed, user
from tests.processors.window import CHAINS, FAMILIES, PLAIN, RECIPE, SealedWindow

few = st.none() | st.sampled_from("abcdef")
people = st.lists(st.tuples(few, few, few, st.integers(0, 9)), max_size=40)
Person = tuple[str | None, str | None, str | None, int]


def candidates(found: list[Person], domain: str = "d") -> list[Candidate]:
    return [
        Candidate(
            row=run(n, session=session, user=person, task=task, domain=domain),
            label_row=None,
            messages=(user("a"), answer()),
            tools=(),
            kind="run",
            weight=1.0,
            cluster=cluster,
        )
        for n, (session, person, task, cluster) in enumerate(found)
    ]


def crossing(keyed: Iterable[tuple[Hashable, Split]]) -> set[Hashable]:
    """The keys that are in more than one part."""
    parts: dict[Hashable, set[Split]] = defaultdict(set)
    for key, part in keyed:
        if key is not None:
            parts[key].add(part)
    return {key for key, where in parts.items() if len(where) > 1}


@given(people, st.integers(0, 5))
def test_no_session_user_task_or_cluster_crosses_the_split(found: list[Person], seed: int) -> None:
    members = candidates(found)
    parts = split(members, Recipe(seed=seed, validation_share=0.3, test_share=0.3))
    assert len(parts) == len(members)
    for place in range(4):
        assert not crossing((each[place], part) for each, part in zip(found, parts, strict=True))
    assert split(members, Recipe(seed=seed, validation_share=0.3, test_share=0.3)) == parts


def named(examples: Iterable[Example], fact: str) -> list[tuple[Any, Split]]:
    return [(getattr(example, fact), example.split) for example in examples]


def test_nothing_of_the_window_crosses_its_split(window: SealedWindow) -> None:
    examples = window.sealed.examples
    for fact in ("session", "user", "task", "prompt_digest"):
        shared = Counter(key for key, _ in named(examples, fact) if key is not None)
        assert not crossing(named(examples, fact))
        assert fact == "prompt_digest" or max(shared.values()) > 1


def test_relatives_of_a_dropped_duplicate_stay_together(window: SealedWindow) -> None:
    """A ~ B ~ C, A unlike C: B was dropped for A, and C must follow A."""
    where = {row.row_id: int(re.sub(r"\D", "", row.id or "0")) for row in window.rows}
    chosen = select(window.rows, RECIPE, window.offsets)[0]
    inside = {where[each.row.row_id] for each in chosen}
    parts = {where[example.row_id]: example.split for example in window.sealed.examples}
    first = PLAIN + 4 * FAMILIES
    whole = [n for n in range(first, first + 3 * CHAINS, 3) if {n, n + 1, n + 2} <= inside]
    both = [n for n in whole if n in parts and n + 2 in parts]
    assert len(both) >= 5
    assert all(parts[n] == parts[n + 2] for n in both)
    assert len({parts[n] for n in both}) > 1


def test_shares_are_near_eighty_ten_ten_in_every_domain(window: SealedWindow) -> None:
    for domain in (None, "rail", "air", "sea"):
        found = [e for e in window.sealed.examples if domain in (None, e.domain)]
        counts = Counter(example.split for example in found)
        assert len(found) > 300
        assert abs(counts[Split.TRAIN] / len(found) - 0.8) < 0.03
        assert abs(counts[Split.VALIDATION] / len(found) - 0.1) < 0.02
        assert abs(counts[Split.TEST] / len(found) - 0.1) < 0.02
    assert window.sealed.count(Split.TRAIN) == sum(
        example.split == "train" for example in window.sealed.examples
    )


@given(st.integers(0, 3), st.integers(20, 60))
def test_shares_hold_for_groups_of_one(seed: int, count: int) -> None:
    members = candidates([(None, None, None, n) for n in range(count)])
    alone = [each.row for each in members]
    parts = Counter(split(members, Recipe(seed=seed)))
    assert len({row.row_id for row in alone}) == count
    for part, share in ((Split.TRAIN, 0.8), (Split.VALIDATION, 0.1), (Split.TEST, 0.1)):
        assert abs(parts[part] - share * count) <= 1.0


def test_a_share_of_nothing_gets_nothing() -> None:
    found = sealed([run(n) for n in range(20)], validation_share=0.0, test_share=0.0)
    assert {example.split for example in found.examples} == {Split.TRAIN}


def test_the_seed_changes_who_goes_where_and_not_who_comes() -> None:
    rows = [run(n) for n in range(30)]
    left, right = sealed(rows, seed=0), sealed(rows, seed=1)
    assert names(left) == names(right)
    assert [e.split for e in left.examples] != [e.split for e in right.examples]
