"""Result files of tau2."""

from __future__ import annotations

from typing import Any

import pytest

from processors.imports.port import Imported, Refused
from processors.imports.tau2 import tau2
from schemas.errors import Code, Unrecoverable
from tests.imports.samples import ANN, BOB, flat, simulation, tau2_lines


def one(info: dict[str, Any] | None = None, **changes: Any) -> Imported | Refused:
    (found,) = tau2("base_retail.json.gz", tau2_lines(simulation(**changes), **(info or {})))
    return found


def event(info: dict[str, Any] | None = None, **changes: Any) -> Imported:
    found = one(info, **changes)
    assert isinstance(found, Imported), found
    return found


def test_a_simulation_becomes_an_execution() -> None:
    found = event()
    data = found.data
    assert data["execution_id"] == simulation()["id"]
    assert (data["agent_id"], data["model"]) == ("tau2-retail", {"name": "tuned-1"})
    assert data["task"] == {"prompt": "send it back", "id": "tau2/retail/9", "domain": "retail"}
    assert data["sampling"] == {"temperature": 0.0}
    assert data["metrics"] == {"duration_ms": 10_000.0, "input_tokens": 30, "output_tokens": 5}
    assert data["labels"]["termination_reason"] == "user_stop"
    assert found.subject == "tau2/retail/9"


def test_times_without_a_zone_are_utc_and_say_so() -> None:
    found = event()
    assert found.time is not None
    assert found.time.isoformat() == "2026-01-02T03:04:15.500000+00:00" == found.data["ended_at"]
    assert found.data["started_at"] == "2026-01-02T03:04:05.500000+00:00"
    assert "UTC" in found.data["labels"]["time_source"]
    stated = event(end_time="2026-01-02T03:04:15.5+00:00")
    assert "time_source" not in stated.data["labels"]
    assert event(end_time=None).time is None


def test_a_cost_of_zero_is_unknown_and_a_price_is_taken() -> None:
    assert "cost_usd" not in event().data["metrics"]
    assert all("cost_usd" not in m for m in event().data["messages"] if m["role"] == "assistant")
    assert event(agent_cost=0.02).data["metrics"]["cost_usd"] == 0.02


def test_tokens_are_left_out_where_an_answer_does_not_say_its_own() -> None:
    turns = simulation()["messages"]
    turns[4] = {**turns[4], "usage": None}
    assert set(event(messages=turns).data["metrics"]) == {"duration_ms"}


def test_the_greeting_stays_and_the_prompt_is_what_the_user_asked() -> None:
    assert event().data["messages"][0] == {"role": "assistant", "content": "Hi! How can I help?"}


def test_results_name_their_call() -> None:
    result = event().data["messages"][3]
    assert result == {"role": "tool", "content": BOB, "tool_call_id": "c1", "error": False}


def test_what_the_user_does_with_tools_of_their_own_is_left_out() -> None:
    turns = simulation()["messages"]
    turns[2:2] = [
        {"role": "user", "content": None, "tool_calls": [flat("reboot_phone", "u1")]},
        {"role": "tool", "id": "u1", "content": "rebooted", "requestor": "user"},
    ]
    assert event(messages=turns).data["messages"] == event().data["messages"]


@pytest.mark.parametrize(
    ("turns", "user"),
    [
        ([flat("a", user_id=ANN), flat("b", "c2", user_id=ANN)], ANN),
        ([flat("get_order", order="7")], BOB),
        ([flat("find_user_id_by_email", email="e")], BOB),
        ([flat("hang_up")], None),
    ],
)
def test_the_acting_user_is_found_in_calls_else_in_results(
    turns: list[dict[str, Any]], user: str | None
) -> None:
    name = turns[0]["name"]
    result = {"get_order": f'{{"user_id": "{BOB}"}}', "hang_up": "good-bye"}.get(name, BOB)
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": turns},
        {"role": "tool", "id": "c1", "content": result},
    ]
    assert event(messages=messages).data.get("user_id") == user


def test_reward_decides_and_its_parts_are_gates() -> None:
    outcome = event().data["outcome"]
    assert (outcome["status"], outcome["score"]) == ("success", 1.0)
    assert outcome["gates"] == [
        {"name": "db", "passed": True},
        {"name": "communicate", "passed": False},
    ]
    assert event(reward_info={"reward": 0.0}).data["outcome"] == {"status": "failure", "score": 0.0}


@pytest.mark.parametrize(
    ("ended", "status"), [("max_steps", "timeout"), ("too_many_errors", "error")]
)
def test_an_unjudged_run_ended_as_it_ended(ended: str, status: str) -> None:
    outcome = event(reward_info=None, termination_reason=ended).data["outcome"]
    assert outcome == {"status": status, "error_code": ended}


def test_without_a_reward_and_a_reason_there_is_no_outcome() -> None:
    found = one(reward_info=None)
    assert isinstance(found, Refused)
    assert found == Refused("neither a reward nor a reason why it ended early", "simulation 1")


def test_tool_definitions_are_taken_where_the_file_has_them() -> None:
    tools = [{"type": "function", "function": {"name": "t"}}]
    info = {"environment_info": {"domain_name": "retail", "tool_defs": tools}}
    assert event(info).data["tools"] == tools


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"simulations": 3}', b"x"])
def test_another_file_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(Unrecoverable) as caught:
        list(tau2("x.json", [content]))
    assert caught.value.code is Code.BAD_IMPORT


def test_a_file_whose_info_cannot_be_read_is_refused_with_the_path() -> None:
    with pytest.raises(Unrecoverable, match=r"info\.agent_info\.llm"):
        one({"agent_info": {"llm": 3}})
