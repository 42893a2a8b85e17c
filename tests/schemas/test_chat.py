"""Chat turns: one canonical form, and an answer's text that reads back as the same turn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.chat import Message, ToolCall, answer_text, first_answer, parse_answer, template_turn

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(st.text(), values, max_size=4) | st.text()
calls = st.builds(lambda name, args: ToolCall(name=name, arguments=args), st.text(), arguments)
turns = st.lists(calls, min_size=1, max_size=4).map(
    lambda found: Message(role="assistant", tool_calls=found).canonical()
)
SEPARATORS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r\n"


@given(turns)
@example(Message(role="assistant", tool_calls=[ToolCall(name=SEPARATORS)]).canonical())
@example(
    Message(
        role="assistant", tool_calls=[ToolCall(name="n", arguments={SEPARATORS: SEPARATORS})]
    ).canonical()
)
def test_parsing_an_answer_s_text_gives_the_answer(turn: dict[str, Any]) -> None:
    text = answer_text(turn)
    assert parse_answer(text) == turn
    assert answer_text(parse_answer(text)) == text
    assert len(text.split("\n")) == len(turn["tool_calls"])


@pytest.mark.parametrize(
    "text",
    [
        *("", "   ", "\n\n", "hello", "3", "null", "[]", "{}", '{"name": 3}', '{"arguments": {}}'),
        '{"name": "a"}\nand then',
        'I call {"name": "a"}',
        '{"name": "a", "arguments": [1]}',
        '{"name": "a", "arguments": 5}',
        '{"name": "a", "arguments": {"x": NaN}}',
        "[" * 100_000,
        '{"name":' * 50_000,
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_call_in_every_line_is_text(text: str) -> None:
    assert parse_answer(text) == {"role": "assistant", "content": text}


def test_calls_may_be_spaced_out_and_need_no_arguments() -> None:
    found = parse_answer('\n  {"name": "a"}\r\n\n{"name": "b", "arguments": null}  ')
    assert found["tool_calls"] == [
        {"name": "a", "arguments": {}},
        {"name": "b", "arguments": {}},
    ]


def test_the_order_of_arguments_is_what_was_served() -> None:
    turn = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"z": 1, "a": "é"}}]}
    assert answer_text(turn) == '{"name": "f", "arguments": {"z": 1, "a": "é"}}'


@given(st.dictionaries(st.text(), values, max_size=4))
def test_nested_and_flat_calls_are_one_form(given_arguments: dict[str, Any]) -> None:
    as_text = json.dumps(given_arguments)
    shapes: list[dict[str, Any]] = [
        {"function": {"name": "f", "arguments": as_text}, "type": "function", "id": "1"},
        {"function": {"name": "f", "arguments": given_arguments}},
        {"name": "f", "arguments": as_text},
        {"name": "f", "arguments": given_arguments},
    ]
    for shape in shapes:
        turn = Message.model_validate({"role": "assistant", "tool_calls": [shape]}).canonical()
        assert turn["tool_calls"] == [{"name": "f", "arguments": given_arguments}]


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3", "null", "plain words", '{"a": NaN}'])
def test_arguments_that_are_no_object_stay_text(text: str) -> None:
    assert ToolCall.model_validate({"name": "f", "arguments": text}).arguments == text


def test_no_arguments_are_an_empty_object() -> None:
    assert ToolCall.model_validate({"name": "f", "arguments": None}).arguments == {}
    assert ToolCall(name="f").arguments == {}


def test_a_canonical_turn_holds_what_is_trained_on_and_nothing_else() -> None:
    message = Message.model_validate(
        {
            "role": "tool",
            "name": "search",
            "content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text"}, "x"],
            "tool_call_id": "1",
            "duration_ms": 3,
            "cost_usd": 0.1,
            "reward": 1,
            "secret": "s",
            "tool_calls": [],
        }
    )
    assert message.canonical() == {"role": "tool", "name": "search", "content": "a\n"}


def test_templates_see_nested_calls() -> None:
    turn = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"name": "f", "arguments": {"a": 1}}],
    }
    nested = {"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    assert template_turn(turn) == {**turn, "tool_calls": [nested]}
    assert template_turn({"role": "user", "content": "x"}) == {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ("user assistant", 1),
        ("system user assistant user assistant", 2),
        ("assistant user assistant", 2),
        ("system assistant user user assistant", 4),
        ("system assistant", 1),
        ("assistant user", 2),
        ("user", 1),
        ("", 0),
    ],
)
def test_the_first_answer_comes_after_the_first_question(roles: str, expected: int) -> None:
    assert first_answer([{"role": role} for role in roles.split()]) == expected
