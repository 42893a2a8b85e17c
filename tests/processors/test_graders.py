"""Graders: what counts as the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.evaluation.graders import exact, grader, tool_call
from schemas.chat import answer_text, parse_answer
from tests.processors.small import answer
from tests.support import call

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
turns = st.lists(
    st.builds(
        lambda name, arguments: {"name": name, "arguments": arguments},
        st.text(),
        st.dictionaries(st.text(), values, max_size=3),
    ),
    max_size=3,
).map(lambda calls: answer(*calls))


def graded(wanted: dict[str, Any], got: dict[str, Any]) -> bool:
    return tool_call(answer(call("f", **wanted)), answer(call("f", **got)))


@pytest.mark.parametrize(
    ("wanted", "got", "right"),
    [
        ({}, {}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [1, 2], "x": 1}}, True),
        ({"a": 3}, {"a": "3"}, True),
        ({"a": "3"}, {"a": 3}, True),
        ({"a": 2.5}, {"a": "2.5"}, True),
        ({"a": 3}, {"a": 3.0}, True),
        ({"a": [3, {"b": "4"}]}, {"a": ["3", {"b": 4}]}, True),
        ({"a": 3}, {"a": "4"}, False),
        ({"a": 3}, {"a": "three"}, False),
        ({"a": "a"}, {"a": "A"}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": True}, {"a": "True"}, False),
        ({"a": True}, {"a": "true"}, False),
        ({"a": True}, {"a": True}, True),
        ({"a": None}, {"a": 0}, False),
        ({"a": None}, {"a": "None"}, False),
        ({"a": None}, {}, False),
        ({}, {"a": None}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": [1]}, {"a": [1, 1]}, False),
        ({"a": [1]}, {"a": {"0": 1}}, False),
        ({"a": [1]}, {"a": "[1]"}, False),
    ],
    ids=str,
)
def test_arguments(wanted: dict[str, Any], got: dict[str, Any], right: object) -> None:
    assert graded(wanted, got) is right
    assert graded(got, wanted) is right


A, B = call("a", x=1), call("b", x=1)


@pytest.mark.parametrize(
    ("wanted", "got", "right"),
    [
        ([A], [A], True),
        ([A], [B], False),
        ([A], [], False),
        ([], [A], False),
        ([], [], True),
        ([A], [A, A], False),
        ([A, A], [A], False),
        ([A, B], [A, B], True),
        ([A, B], [B, A], False),
        ([A], [{"name": "a", "arguments": '{"x": 1}'}], False),
    ],
    ids=str,
)
def test_calls_in_their_order_none_missing_none_more(wanted: Any, got: Any, right: object) -> None:
    assert tool_call(answer(*wanted, content="so"), answer(*got, content="or so")) is right


@pytest.mark.parametrize(
    ("wanted", "got", "right"),
    [
        (answer(content="yes"), answer(content="yes"), True),
        (answer(content="yes"), answer(content="Yes"), False),
        (answer(content="yes"), answer(content="yes "), False),
        (answer(content=""), {"role": "assistant", "content": None}, True),
        (answer(A), answer(A), True),
        (answer(A), answer(A, content="and"), False),
        (answer(A), answer(call("a", x="1")), False),
        (answer(A), answer(call("a", x=True)), False),
        (answer(A), answer(), False),
    ],
    ids=str,
)
def test_exact_is_character_for_character(wanted: Any, got: Any, right: object) -> None:
    assert exact(wanted, got) is right


def test_a_regular_expression_searches_the_text() -> None:
    found = grader("regex", r"\b4[12]\b")
    assert found(answer(), answer(content="it is 42."))
    assert not found(answer(), answer(content="it is 421."))
    assert not found(answer(), answer(call("f", x="42")))


def test_graders_are_found_by_name() -> None:
    assert (grader("exact"), grader("tool_call")) == (exact, tool_call)
    with pytest.raises(KeyError):
        grader("vibes")


@given(turns)
def test_an_answer_is_right_when_it_is_the_expected_one_written_and_read(turn: Any) -> None:
    read = parse_answer(answer_text(turn))
    assert tool_call(turn, read)
    assert exact(turn, read)


@given(turns, turns)
def test_right_does_not_depend_on_who_is_asked_first(left: Any, right: Any) -> None:
    assert tool_call(left, right) is tool_call(right, left)
    assert exact(left, right) is exact(right, left)
    assert tool_call(left, right) or not exact(left, right)
