"""Golden cases that people write: the same as ingest makes of a run, or a fault with its line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processors.curation.curate import Curator
from processors.curation.golden_cases import read_case, read_cases
from processors.evaluation.graders import GRADERS, grader
from schemas.datasets import GoldenCase
from tests.reviewing import POLICY, body, lines
from tests.support import TOOLS, call, execution, record

CURATOR = Curator("golden", POLICY)
SAID = {"prompt": "how far is lyon?", "expected": "470 km"}
CALLED = {
    "prompt": "a train to lyon",
    "expected": {"tool_calls": [call(to="lyon")]},
    "tools": TOOLS,
}


def case(said: dict[str, Any]) -> GoldenCase:
    return read_case(json.dumps(said).encode(), CURATOR, "default")


def test_a_case_is_what_ingest_makes_of_a_run_with_the_same_prompt() -> None:
    asked = [
        {"role": "system", "content": "you book trips"},
        {"role": "user", "content": "write to ann@example.org about 10.0.0.7"},
    ]
    right = {"role": "assistant", "content": "wrote to ann@example.org"}
    found = case({"messages": asked, "expected": right, "session_id": "s", "user_id": "u"})
    run = execution(
        messages=[*asked, {"role": "assistant", "content": "something else"}],
        task={"prompt": ""},
        session_id="s",
        user_id="u",
    )
    row = Curator("c", POLICY).row(record(body(run)))
    assert found.prompt_digest == row.prompt_digest
    assert (found.task, found.session, found.user) == (row.task, row.session, row.user)
    assert found.messages == json.loads(row.content or "")["messages"][:-1]
    assert found.expected["content"] == "wrote to <EMAIL_1>"
    named = case({"messages": asked, "expected": right, "task": "task-1"})
    assert (named.task, named.prompt_digest) == ("task-1", row.prompt_digest)


def test_graders_are_chosen_or_named_and_each_passes_its_own_answer() -> None:
    assert case(SAID).grader == "exact"
    assert case(CALLED).grader == "tool_call"
    assert case({**CALLED, "grader": "exact"}).grader == "exact"
    regex = case({**SAID, "pattern": r"\b470\b"})
    assert (regex.grader, regex.pattern) == ("regex", r"\b470\b")
    for name in GRADERS:
        assert grader(name, "x")({"content": "x"}, {"content": "x"})
    for one in (case(SAID), case(CALLED), regex):
        assert grader(one.grader, one.pattern)(one.expected, one.expected)


def test_a_case_is_named_by_its_content() -> None:
    assert case(SAID).case_id == case({**SAID}).case_id
    assert case(SAID).case_id.startswith("case:")
    others = ({"expected": "471 km"}, {"prompt": "x"}, {"grader": "tool_call"}, {"tools": TOOLS})
    assert len({case({**SAID, **other}).case_id for other in ({}, *others)}) == 5


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"expected": "x"}, "either prompt or messages"),
        ({**SAID, "messages": []}, "either prompt or messages"),
        ({"messages": [], "expected": "x"}, "nothing is asked"),
        ({"prompt": " \n", "expected": "x"}, "nothing is asked"),
        ({"prompt": "x"}, "expected: Field required"),
        ({"prompt": "x", "expected": ""}, "the answer is empty"),
        ({"prompt": "x", "expected": {"content": ""}}, "neither words nor a tool call"),
        ({**SAID, "answer": "x"}, "answer: Extra inputs"),
        ({**SAID, "grader": "fuzzy"}, "no grader is called 'fuzzy'; there are exact, tool_call, regex"),
        ({**SAID, "grader": "regex"}, "a pattern goes with the grader regex"),
        ({**SAID, "grader": "exact", "pattern": "x"}, "a pattern goes with the grader regex"),
        ({**SAID, "pattern": "("}, "the pattern is no regular expression"),
        ({**SAID, "pattern": "miles"}, "does not pass its own grader, regex"),
        ({**SAID, "pattern": "470|ann@example.org"}, "the pattern holds personal data"),
        ({**SAID, "pattern": r"470|ann@example\.org"}, "the pattern holds personal data"),
        ({**CALLED, "expected": {"tool_calls": [call("fly")]}}, "no tool is called 'fly'"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "expected": "x"},
            "messages end with an answer",
        ),
        ({"messages": [{"content": "x"}], "expected": "x"}, "messages: 0: role: Field required"),
        ({**CALLED, "tools": [{"name": "search", "parameters": {"ann@example.org": 1}}]}, "redaction_incomplete"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_case_is_said_in_one_line(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=r".+") as found:
        case(said)
    assert fault in str(found.value)
    assert "\n" not in str(found.value)


def test_every_fault_names_its_line_and_duplicates_the_other_one() -> None:
    text = lines(SAID, {"prompt": "x"}) + b"\n{broken\n" + lines({**SAID, "expected": "no"}, CALLED)
    known = [case(CALLED)]
    found, faults = read_cases(text.splitlines(), CURATOR, "default", known)
    assert [one.expected["content"] for one in found] == ["470 km"]
    assert [fault.partition(":")[0] for fault in faults] == ["line 2", "line 4", "line 5", "line 6"]
    assert faults[2] == "line 5: line 1 asks the same"
    assert faults[3] == f"line 6: case {known[0].case_id} of the newest set asks the same"


def test_the_same_question_later_in_a_conversation_is_another_one() -> None:
    turns = [
        {"role": "user", "content": "a train to lyon"},
        {"role": "assistant", "content": None, "tool_calls": [call(to="lyon")]},
        {"role": "tool", "content": "09:12"},
    ]
    deeper = {"messages": turns, "expected": "At 09:12.", "tools": TOOLS}
    found, faults = read_cases(lines(CALLED, deeper).splitlines(), CURATOR, "default")
    assert faults == []
    assert [one.grader for one in found] == ["tool_call", "exact"]
    assert found[0].prompt_digest == found[1].prompt_digest
