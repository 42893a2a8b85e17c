"""Answers as people mend them: what they are shown, what they may write, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processors.curation.answers import checked, draft, parsed, shown
from processors.curation.extract import feedback_content
from processors.curation.seal.conversation import conversation
from schemas.feedback import FeedbackData
from tests.support import TOOLS

ASKED = {"role": "user", "content": "find a train to <EMAIL_1>"}
WORDS = {"messages": [ASKED, {"role": "assistant", "content": "write to <EMAIL_1>\nsoon"}]}
SEARCH = {"name": "search", "arguments": {"to": "lyon"}}
CALL = {"role": "assistant", "content": "", "tool_calls": [SEARCH]}
CALLS: dict[str, Any] = {
    "messages": [ASKED, CALL, {"role": "tool", "content": "ok"}],
    "tools": TOOLS,
}
TURNS = [
    CALL,
    {"role": "tool", "content": "ok", "name": "search"},
    {"role": "assistant", "content": "done"},
]
LONG = {"messages": [ASKED, *TURNS], "tools": TOOLS}
STEPS: list[dict[str, Any]] = [
    {"id": "a", "tool": "search", "depends_on": []},
    {"id": "b", "tool": "book", "depends_on": ["a"]},
]
PLAN: dict[str, Any] = {"goal": "go", "steps": STEPS, "tools": TOOLS}
EVERY = {"words": WORDS, "calls": CALLS, "long": LONG, "plan": PLAN}


def learned(content: dict[str, Any], answer: dict[str, Any]) -> Any:
    """What a seal makes of an answer that was published and curated."""
    about = {"kind": "edit", "author": "a", "author_role": "reviewer"}
    data = FeedbackData(**about, target={"execution_id": "r"}, **answer)  # type: ignore[arg-type]
    return conversation(content, feedback_content(data))


@pytest.mark.parametrize("content", EVERY.values(), ids=EVERY)
def test_what_is_not_changed_is_learned_as_it_was(content: dict[str, Any]) -> None:
    text, suffix = draft(content)
    answer = parsed(text, content, words=suffix == ".txt")
    assert learned(content, answer) == conversation(content)
    assert shown(answer, content) == text


def test_words_are_edited_as_words_and_placeholders_stay() -> None:
    text, suffix = draft(WORDS)
    assert (text, suffix) == ("write to <EMAIL_1>\nsoon", ".txt")
    answer = parsed("call <EMAIL_1>\n", WORDS, words=True)
    assert answer == {"messages": [{"role": "assistant", "content": "call <EMAIL_1>"}]}
    assert learned(WORDS, answer)[-1]["content"] == "call <EMAIL_1>"
    assert draft({"messages": [ASKED]}) == ("", ".txt")


def test_several_turns_are_json_up_to_the_last_answer() -> None:
    assert json.loads(draft(CALLS).text) == [CALL], "what a tool said after it is no answer"
    assert json.loads(draft(LONG).text) == TURNS
    mended = [{**CALL, "tool_calls": [{"name": "book", "arguments": {"to": "rome"}}]}]
    answer = parsed(json.dumps(mended), LONG, words=False)
    assert learned(LONG, answer) == [ASKED, *mended]
    nested = {"type": "function", "function": {"name": "book", "arguments": '{"to": "rome"}'}}
    same = {"role": "assistant", "content": None, "tool_calls": [nested]}
    assert checked(same, LONG) == answer, "one turn alone, and OpenAI's form of a call"


def test_a_plan_is_mended_step_by_step() -> None:
    answer = parsed(json.dumps({"steps": STEPS[:1]}), PLAN, words=False)
    assert json.loads(learned(PLAN, answer)[-1]["content"]) == {"steps": STEPS[:1]}


@pytest.mark.parametrize(
    ("content", "value", "fault"),
    [
        (WORDS, "  \n", "the answer is empty"),
        (CALLS, [], "a list of turns"),
        (CALLS, 7, "a list of turns"),
        (CALLS, [{"content": "x"}], "turn 1: role: Field required"),
        (CALLS, ["x"], "turn 1: "),
        (CALLS, [{"role": "assistant", "tool_cals": []}], "turn 1: 'tool_cals' is no field"),
        (CALLS, [{"role": "assistant", "content": " "}], "turn 1: neither words nor"),
        (CALLS, [{**CALL, "tool_calls": [{"name": "fly"}]}], "no tool is called 'fly'"),
        (CALLS, [{**CALL, "tool_calls": [{"name": "book", "arguments": "x"}]}], "no JSON object"),
        (CALLS, [CALL, ASKED], "begins and ends with a turn of the assistant"),
        (CALLS, [ASKED, CALL], "begins and ends with a turn of the assistant"),
        (PLAN, "words", 'is {"steps": […]}'),
        (PLAN, {"steps": []}, 'is {"steps": […]}'),
        (PLAN, {"steps": [{"tool": "book"}]}, "step 1: id: Field required"),
        (PLAN, {"steps": [{"id": "a", "depends_on": ["a"]}]}, "cycle through 'a'"),
        (PLAN, {"steps": [{"id": "a", "tools": "x"}]}, "step 1: 'tools' is no field"),
        (PLAN, {"steps": [{"id": "a", "tool": "fly"}]}, "step 1: no tool is called 'fly'"),
    ],
    ids=str,
)
def test_what_is_no_answer_is_said_in_one_line(content: Any, value: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=r".+") as found:
        checked(value, content)
    assert fault in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["", "[{", "[NaN]", "[" * 500, '{"role": 1'], ids=repr)
def test_what_does_not_parse_is_said_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON: ") as found:
        parsed(text, CALLS, words=False)
    assert "\n" not in str(found.value)
