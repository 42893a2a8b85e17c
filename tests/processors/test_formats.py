"""Examples and pairs as records of other people's formats."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from processors.curation.formats.alpaca import SEVERAL_TURNS, TOOL_CALLS, alpaca
from processors.curation.formats.chat import chat
from processors.curation.formats.preference import both_sides, desirable, preference
from processors.curation.formats.shapes import shapes
from schemas.chat import Message
from schemas.datasets import Example, Pair, Split
from tests.processors.small import answer, prompt, run, sealed, user
from tests.support import TOOLS, call

FLAT = {"name": "search", "parameters": {"type": "object"}}


def example(*turns: dict[str, Any], tools: Any = TOOLS) -> Example:
    """A sealed example of some turns."""
    (found,) = sealed([run(1)], min_examples=1).examples
    return replace(found, messages=turns, tools=tuple(tools))


TALK = (
    user(prompt(1)),
    answer(call("search", to="lyon"), call("book", id=1)),
    {"role": "tool", "content": "a", "name": "search"},
    {"role": "tool", "content": "b", "name": "book"},
    answer(call("search", to="oslo")),
    {"role": "tool", "content": "c", "name": "search"},
    answer(content="done"),
)


def test_calls_are_nested_and_each_result_names_its_call() -> None:
    record = chat(example(*TALK))
    turns = record["messages"]
    ids = [c["id"] for turn in turns for c in turn.get("tool_calls", ())]
    assert ids == ["call00000", "call00001", "call00002"]
    assert all(len(name) == 9 and name.isalnum() for name in ids)
    assert [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"] == ids
    function = turns[1]["tool_calls"][0]["function"]
    assert function == {"name": "search", "arguments": {"to": "lyon"}}
    assert json.loads(record["tools"]) == TOOLS
    back = [Message.model_validate(turn).canonical() for turn in turns]
    assert back == list(TALK)


def test_tools_are_nested_json_text_and_null_where_there_are_none() -> None:
    assert json.loads(chat(example(*TALK, tools=[FLAT]))["tools"]) == [
        {"type": "function", "function": FLAT}
    ]
    assert chat(example(*TALK, tools=()))["tools"] == "null"


def test_a_tool_turn_that_no_call_waits_for_names_none() -> None:
    told = {"role": "tool", "content": "unasked"}
    turns = chat(example(user("a"), answer(call()), told, told, answer(content="b")))["messages"]
    assert [turn.get("tool_call_id") for turn in turns[2:4]] == ["call00000", None]


def test_alpaca_takes_one_question_and_its_answer_and_nothing_else() -> None:
    asked, said = user("where?"), answer(content="there")
    system = {"role": "system", "content": "you book trips"}
    plain = {"instruction": "where?", "input": "", "output": "there"}
    assert alpaca(example(asked, said)) == plain
    told = {"instruction": "you book trips", "input": "where?", "output": "there"}
    assert alpaca(example(system, asked, said)) == told
    assert alpaca(example(asked, said, asked, said)) == SEVERAL_TURNS
    assert alpaca(example(system, system, asked, said)) == SEVERAL_TURNS
    assert alpaca(example(asked, answer(call()))) == TOOL_CALLS


def test_a_pair_becomes_a_prompt_and_two_answers_and_an_example_one() -> None:
    pair = Pair(
        chosen_row="a",
        rejected_row="b",
        label_row=None,
        split=Split.TRAIN,
        margin=0.5,
        messages=TALK[:4],
        chosen=(answer(call("search", to="oslo")),),
        rejected=(answer(content="no"),),
        tools=tuple(TOOLS),
    )
    record = preference(pair)
    assert record["chosen"][0]["tool_calls"][0]["id"] == "call00002"
    assert record["rejected"] == [{"role": "assistant", "content": "no"}]
    wanted, unwanted = both_sides(pair)
    assert (wanted["label"], unwanted["label"]) == (True, False)
    assert wanted["prompt"] == unwanted["prompt"] == record["prompt"]
    one = desirable(example(*TALK))
    assert one["prompt"] == [user(prompt(1))]
    assert len(one["completion"]) == 6
    assert one["label"] is True


def test_a_shape_is_where_which_keys_or_what_type_stand() -> None:
    one = {"m": [{"role": "user", "content": "a"}]}
    assert set(shapes(one)) == set(shapes({"m": [{"role": "b", "content": "c"}] * 3}))
    called = {"m": [{"role": "user", "content": "a", "tool_calls": [{"n": 1}]}]}
    assert set(shapes(called)) - set(shapes(one))
    assert set(shapes({"n": 1})) != set(shapes({"n": "1"}))
