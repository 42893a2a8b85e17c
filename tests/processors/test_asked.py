"""What was asked, in conversations that do not begin with the question."""

from __future__ import annotations

from typing import Any

import pytest

from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from processors.curation.seal.conversation import asked
from schemas.rows import Row
from tests.processors.small import only, sealed
from tests.support import call, edit, event, execution, record

POLICY = "You are the desk's agent. " + "Follow every rule of the long policy below. " * 40
CURATOR = Curator("c", CurationPolicy(hmac_key=b"k"))


def turns(*roles: str) -> list[dict[str, Any]]:
    return [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(roles)]


def run(question: str, *before: dict[str, str]) -> dict[str, Any]:
    messages = [
        *before,
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call()]},
    ]
    return execution(messages=messages, task={"prompt": question})


def rows(*data: dict[str, Any]) -> list[Row]:
    return [
        CURATOR.row(record(event("execution.completed", found, id=str(n)), offset=n))
        for n, found in enumerate(data)
    ]


def test_the_question_is_the_prompt_not_the_policy_nor_the_greeting() -> None:
    said = turns("system", "assistant", "user", "user", "assistant", "user")
    assert asked(said) == "user 2 user 3"


def test_an_agent_that_nobody_asks_has_its_policy_for_a_prompt() -> None:
    assert asked(turns("system", "assistant")) == "system 0"


@pytest.mark.parametrize(
    "before",
    [
        ({"role": "assistant", "content": "Hi! How can I help you today?"},),
        ({"role": "system", "content": POLICY},),
        ({"role": "system", "content": POLICY}, {"role": "assistant", "content": "Hi!"}),
    ],
)
def test_a_shared_beginning_does_not_make_questions_alike(
    before: tuple[dict[str, str], ...],
) -> None:
    questions = ("where is my parcel", "cancel the red kettle", "please reset the password")
    found = rows(*(run(question, *before) for question in questions))
    assert len({row.prompt_digest for row in found}) == 3
    assert len({row.task for row in found}) == 3
    dataset = sealed(found)
    assert len(dataset.examples) == 3
    assert dataset.dropped == {}


def test_an_edit_keeps_the_greeting_and_the_question() -> None:
    data = run("where is my parcel", {"role": "assistant", "content": "Hi!"})
    said = edit(data["execution_id"], [call("book")])
    correction = CURATOR.row(
        record(event("feedback.received", said), topic="feedback.received", offset=0)
    )
    example = only([*rows(data), correction])
    assert [turn["role"] for turn in example.messages] == ["assistant", "user", "assistant"]
    assert example.messages[-1]["tool_calls"] == [call("book")]
