"""Difficulty: explained by its parts, blind to its own outcome, better than counting messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.curation.difficulty import score
from benchmarks.curation.figures import auc, spearman
from benchmarks.curation.runs import intercode
from processors.curation.difficulty import (
    BORDERS,
    LEVELS,
    WEIGHTS,
    Floats,
    conversation_facts,
    difficulty,
    failure_history,
    plan_facts,
)
from schemas import structs
from schemas.chat import Message
from schemas.executions import PlanData
from tests.processors.real_runs import sample
from tests.support import call, plan

NAN = float("nan")
FACTS = ("steps", "tool_errors", "replans", "tokens")
counts = st.integers(0, 50).map(float) | st.just(NAN)
runs = st.lists(st.tuples(counts, counts, counts, counts, st.integers(0, 2), st.integers(0, 5), st.sampled_from([0.0, 1.0, NAN])), min_size=1, max_size=40)  # fmt: skip


def columns(rows: list[Any]) -> tuple[dict[str, Floats], Any, Any, Floats]:
    """(facts, groups, tasks, failed) of drawn runs."""
    table = np.array(rows, float).T
    facts = dict(zip(FACTS, table[:4], strict=True))
    return facts, table[4].astype(np.int64), table[5].astype(np.int64), table[6]


def one(**facts: float) -> dict[str, Floats]:
    """The facts of a single run."""
    return {name: np.array([facts.get(name, NAN)]) for name in FACTS}


@given(runs, st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(rows: list[Any], dice: Any) -> None:
    order = list(range(len(rows)))
    dice.shuffle(order)
    facts, groups, tasks, failed = columns(rows)
    history = failure_history(groups, tasks, failed)
    whole = difficulty(facts, history, groups)
    facts, groups, tasks, failed = columns([rows[place] for place in order])
    turned = difficulty(facts, failure_history(groups, tasks, failed), groups)
    assert np.array_equal(turned.score, whole.score[order], equal_nan=True)
    assert list(turned.level) == list(whole.level[order])
    for name, part in turned.parts.items():
        assert np.array_equal(part, whole.parts[name][order], equal_nan=True)


@given(runs, st.integers(0, 39), st.sampled_from([0.0, 1.0, NAN]))
def test_no_run_s_outcome_touches_the_history_of_its_task(
    rows: list[Any], place: int, other: float
) -> None:
    _, groups, tasks, failed = columns(rows)
    before = failure_history(groups, tasks, failed)
    mine = tasks == tasks[place % len(rows)]
    failed[place % len(rows)] = other
    after = failure_history(groups, tasks, failed)
    assert np.array_equal(before[mine], after[mine], equal_nan=True)


@given(runs)
def test_the_score_is_the_weighted_mean_of_the_parts_it_keeps(rows: list[Any]) -> None:
    facts, groups, tasks, failed = columns(rows)
    found = difficulty(facts, failure_history(groups, tasks, failed), groups)
    for place, value in enumerate(found.score):
        parts = {n: p[place] for n, p in found.parts.items() if not np.isnan(p[place])}
        assert all(0 <= part <= 1 for part in parts.values())
        if not parts:
            assert np.isnan(value)
            assert found.level[place] == -1
            continue
        weight = sum(WEIGHTS[name] for name in parts)
        mean = sum(WEIGHTS[name] * part for name, part in parts.items()) / weight
        assert value == pytest.approx(mean, abs=2e-6)
        assert found.level[place] == sum(value >= border for border in BORDERS)


def test_levels_have_fixed_borders() -> None:
    assert len(LEVELS) == len(BORDERS) + 1
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    group = np.zeros(1, np.int64)
    for history, level in [(0.0, 0), (0.39, 0), (0.4, 1), (0.5, 2), (0.6, 3), (1.0, 3)]:
        assert difficulty(one(), np.array([history]), group).level[0] == level


@pytest.mark.parametrize("name", FACTS)
def test_more_of_anything_is_harder(name: str) -> None:
    groups = np.zeros(20, np.int64)
    facts = {other: np.full(20, 3.0) for other in FACTS}
    facts[name] = np.arange(20.0)
    found = difficulty(facts, np.full(20, 0.5), groups).score
    assert (np.diff(found) > 0).all()


def test_steps_are_set_against_what_is_usual_in_the_group() -> None:
    groups = np.repeat(np.arange(3), [21, 21, 1])
    steps = np.concatenate([np.arange(21.0), 100 + np.arange(21.0), [50.0]])
    facts = {**{n: np.full(43, NAN) for n in FACTS}, "steps": steps}
    found = difficulty(facts, np.full(43, NAN), groups).parts["steps"]
    assert found[10] == found[31] == 0.5
    assert found[42] == 50 / (50 + np.sort(steps)[21]), "a lone run is set against the window"


def test_history_is_the_failure_rate_of_other_tasks() -> None:
    groups = np.repeat(np.arange(2), 40)
    tasks = np.arange(80) // 4
    failed = np.repeat([1.0, 0.0], 40)
    found = failure_history(groups, tasks, failed)
    others = (36 + 10 * 36 / 76) / 46
    assert found[0] == pytest.approx(others)
    assert found[79] == pytest.approx(1 - others)
    assert np.isnan(failure_history(groups[:4], tasks[:4], failed[:4])).all()
    unknown = failure_history(groups, tasks, np.full(80, NAN))
    assert np.isnan(unknown).all()


def test_a_window_without_runs_has_no_difficulty() -> None:
    none, no = np.empty(0, np.int64), np.empty(0)
    found = difficulty(dict.fromkeys(FACTS, no), failure_history(none, none, no), none)
    assert len(found.score) == len(found.level) == 0


def test_facts_count_what_the_event_says() -> None:
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "x" * 100},
        {"role": "assistant", "content": "four", "tool_calls": [call("find", a=1)]},
        {"role": "tool", "content": "no", "error": True},
        {"role": "tool", "content": "yes", "error": False},
        {"role": "assistant", "content": "done"},
    ]
    found = conversation_facts([Message.model_validate(turn) for turn in turns])
    assert found == {"steps": 2, "tool_errors": 1, "tokens": (4 + 4 + len('{"a":1}') + 4) / 4}
    twins = [structs.Message(role=t["role"], content=t["content"], error=t.get("error")) for t in turns]  # fmt: skip
    assert conversation_facts(twins) == {"steps": 2, "tool_errors": 1, "tokens": 2}
    assert conversation_facts([]) == {}


def test_a_plan_s_replans_stay_absent_where_they_are_not_stated() -> None:
    stated = plan_facts(PlanData.model_validate(plan(replans=2)))
    assert (stated["steps"], stated["replans"]) == (2, 2)
    assert "replans" not in plan_facts(PlanData.model_validate(plan()))
    assert plan_facts(PlanData.model_validate(plan(steps=[], replans=0))) == {"replans": 0}


@pytest.mark.data
def test_on_unseen_tasks_it_says_more_than_the_number_of_messages(shared_data: Path) -> None:
    train, test = sample(shared_data)
    scored = score([*train, *test])
    judged = ~scored.first & ~np.isnan(scored.failed)
    failed = scored.failed[judged] == 1
    assert judged.sum() > 100
    assert auc(scored.found.score[judged], failed) > auc(scored.messages[judged], failed) + 0.02


@pytest.mark.data
def test_it_ranks_queries_by_hardness_better_than_the_number_of_messages(shared_data: Path) -> None:
    scored = score([run for run in intercode(shared_data) if run.hardness])
    unseen = ~scored.first
    truth = scored.hardness[unseen]
    assert len(truth) > 2_000
    plain = spearman(scored.messages[unseen], truth)
    assert spearman(scored.found.score[unseen], truth) > plain + 0.04
