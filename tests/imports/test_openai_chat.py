"""Conversations in OpenAI's form."""

from __future__ import annotations

from typing import Any

import pytest

from processors.imports.openai_chat import openai_chat
from processors.imports.port import Imported, Refused
from tests.imports.samples import chat, chat_lines


def one(**changes: Any) -> Imported | Refused:
    (found,) = openai_chat("runs.jsonl.gz", chat_lines(chat(**changes)))
    return found


def event(**changes: Any) -> Imported:
    found = one(**changes)
    assert isinstance(found, Imported), found
    return found


def refusal(**changes: Any) -> str:
    found = one(**changes)
    assert isinstance(found, Refused), found
    return found.reason


def test_what_a_line_says_is_carried_and_nothing_else() -> None:
    found = event()
    assert set(found.data) == {"execution_id", "agent_id", "task", "messages", "outcome"}
    assert found.data["agent_id"] == "runs"
    assert found.data["task"] == {"prompt": "where is parcel 7?"}
    assert found.data["outcome"] == {"status": "success"}
    assert (found.time, found.subject) == (None, None)


def test_nested_and_flat_calls_read_the_same() -> None:
    turns = chat()["messages"]
    turns[2] = {
        "role": "assistant",
        "tool_calls": [{"id": "c1", "name": "track", "arguments": {"parcel": 7}}],
    }
    assert event(messages=turns).data["messages"] == event().data["messages"]
    assert event().data["messages"][2]["tool_calls"] == turns[2]["tool_calls"]


def test_everything_that_a_line_may_say() -> None:
    said = {
        "model": "m-1",
        "trust": "external",
        "tools": [{"type": "function", "function": {"name": "track"}}],
        "session_id": "s",
        "user_id": "u",
        "confidence": 0.5,
        "metrics": {"cost_usd": 0.0, "duration_ms": 12},
        "origin": "ai",
    }
    found = event(
        **said, agent_id="desk", task="t-1", domain="post", metadata={"run": 3, "x": None}
    )
    assert found.data["model"] == {"name": "m-1"}
    assert {name: found.data[name] for name in said if name != "model"} == {
        name: value for name, value in said.items() if name != "model"
    }
    assert found.data["task"] == {"prompt": "where is parcel 7?", "id": "t-1", "domain": "post"}
    assert found.data["labels"] == {"run": "3"}
    assert (found.data["agent_id"], found.subject) == ("desk", "t-1")


def test_an_outcome_may_be_an_object() -> None:
    outcome = {"status": "failure", "score": 0.25, "error_code": "E1"}
    assert event(outcome=outcome).data["outcome"] == outcome


def test_a_stated_zero_cost_stays_a_zero() -> None:
    assert event(metrics={"cost_usd": 0.0}).data["metrics"] == {"cost_usd": 0.0}


@pytest.mark.parametrize(
    ("time", "read", "marked"),
    [
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05+00:00", False),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00", True),
        (1767323045, "2026-01-02T03:04:05+00:00", False),
    ],
)
def test_times_are_read_as_utc_and_an_assumed_zone_is_marked(
    time: Any,
    read: str,
    marked: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    found = event(time=time)
    assert found.time is not None
    assert found.time.isoformat() == read == found.data["ended_at"]
    assert ("time_source" in found.data.get("labels", {})) == marked


def test_a_line_without_an_id_is_known_by_its_content() -> None:
    first, second, third = openai_chat("f", chat_lines(chat(), chat(outcome="failure"), chat()))
    assert isinstance(first, Imported)
    assert isinstance(second, Imported)
    assert isinstance(third, Imported)
    assert first.id == third.id != second.id


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"outcome": "splendid"}, "outcome"),
        ({"outcome": {"status": "success", "score": 7}}, "outcome"),
        ({"time": "yesterday"}, "not a time: 'yesterday'"),
        ({"time": True}, "not a time"),
    ],
)
def test_refusals_name_the_field(changes: dict[str, Any], named: str) -> None:
    assert named in refusal(**changes)


def test_lines_that_are_no_json_are_refused_with_their_number() -> None:
    found = list(openai_chat("f", [b"{\n", b"\n", *chat_lines(chat()), b"[" * 100_000]))
    assert [type(item) for item in found] == [Refused, Imported, Refused]
    assert [item.where for item in found] == ["line 1", "line 3", "line 4"]
