"""Trajectories of the first tau-bench."""

from __future__ import annotations

from typing import Any

import pytest

from processors.imports.port import Imported
from processors.imports.tau_bench import tau_bench
from schemas.errors import Code, Unrecoverable
from tests.imports.samples import ANN, BOB, nested, tau_bench_lines, trajectory


def event(name: str = "m-airline.json.gz", **changes: Any) -> Imported:
    (found,) = tau_bench(name, tau_bench_lines(trajectory(**changes)))
    assert isinstance(found, Imported), found
    return found


def test_a_trajectory_becomes_an_execution() -> None:
    found = event()
    assert found.data["execution_id"] == "3/1"
    assert found.data["agent_id"] == "tau-bench-airline"
    assert found.subject == "tau-bench/airline/3"
    assert found.data["task"] == {
        "prompt": "one seat please",
        "id": found.subject,
        "domain": "airline",
    }
    assert found.data["outcome"] == {"status": "success", "score": 1.0}
    assert found.data["labels"] == {"trial": "1"}
    assert [m["role"] for m in found.data["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert found.data["messages"][3]["name"] == "book"


def test_model_time_and_cost_stay_absent() -> None:
    found = event()
    assert found.time is None
    assert not {"model", "metrics", "ended_at"} & set(found.data)


@pytest.mark.parametrize(
    ("reward", "status"), [(1.0, "success"), (0.5, "failure"), (0.0, "failure")]
)
def test_the_reward_is_the_outcome(reward: float, status: str) -> None:
    assert event(reward=reward).data["outcome"] == {"status": status, "score": reward}


def test_trials_of_a_task_share_the_task_and_the_user() -> None:
    first, second = event(trial=0), event(trial=1)
    assert first.id != second.id
    assert first.data["task"] == second.data["task"]
    assert first.data["user_id"] == second.data["user_id"] == ANN


def test_the_user_is_found_in_the_calls_where_the_task_does_not_say() -> None:
    calls = [nested("look", user_id=BOB), nested("look", user_id=ANN), nested("look", user_id=BOB)]
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": calls}]
    assert event(info={}, traj=turns).data["user_id"] == BOB
    assert "user_id" not in event(info={}, traj=turns[:1]).data


def test_the_domain_is_only_known_from_the_files_name() -> None:
    assert "domain" not in event("mine.json").data["task"]


@pytest.mark.parametrize("content", [b"{}", b"3", b"not json", b"\xff\xfe"])
def test_another_file_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(Unrecoverable) as caught:
        list(tau_bench("x.json", [content]))
    assert caught.value.code is Code.BAD_IMPORT
    assert "x.json as tau-bench" in str(caught.value)
