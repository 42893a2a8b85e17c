"""What people and machines are called never reaches a row in clear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from processors.curation.pseudonyms import Pseudonyms
from schemas.rows import Row
from tests.support import edit, erasure, event, execution, plan, record, telemetry, thumb

MAIL, CARD, KEY = "ann@x.org", "4111 1111 1111 1111", "sk-" + "a1B2" * 8
RUN, PLAN, FEEDBACK = "execution.completed", "planning.completed", "feedback.received"


def row_of(data: dict[str, Any], kind: str = RUN, key: bytes = b"key") -> Row:
    return Curator("c", CurationPolicy(hmac_key=key)).row(record(event(kind, data)))


def test_users_sessions_and_authors_are_hidden_and_still_told_apart() -> None:
    row = row_of(execution(user_id="ann", session_id="ann"))
    assert "ann" not in repr(row)
    assert row.user != row.session
    assert len(row.user or "") == 32
    assert row_of(execution(user_id="bob")).user != row.user
    assert row_of(execution(user_id="ann")).user == row.user
    assert row_of(execution()).user is None
    author = row_of(thumb("r", author="ann"), FEEDBACK)
    assert author.author not in (None, "ann", row.user)


def test_tenants_and_keys_separate_equal_names() -> None:
    users = {
        row_of(execution(user_id="ann", **tenant), key=key).user
        for tenant in ({}, {"tenant_id": "a"}, {"tenant_id": "b"})
        for key in (b"key", b"other")
    }
    assert len(users) == 6


def test_no_two_parts_can_be_shifted_into_each_other() -> None:
    left = row_of(execution(tenant_id="a", user_id="b"))
    right = row_of(execution(tenant_id="ab", user_id=""))
    assert left.user != right.user


def test_a_subject_is_hidden_like_the_rows_it_names() -> None:
    run = row_of(execution(user_id="ann", session_id="s1"))
    by_user = json.loads(row_of(erasure(user_id="ann"), FEEDBACK).subject or "")
    by_session = json.loads(row_of(erasure(session_id="s1"), FEEDBACK).subject or "")
    assert (by_user, by_session) == ({"user": run.user}, {"session": run.session})


def test_what_is_no_erasure_asks_for_none() -> None:
    said = thumb("r") | {"subject": {"user_id": "ann"}}
    assert row_of(said, FEEDBACK).subject is None


def test_what_people_say_is_theirs_in_any_role() -> None:
    mine = row_of(execution(user_id="ann")).user
    for role in ("user", "expert", "reviewer", "judge"):
        assert row_of(thumb("r", author="ann", author_role=role), FEEDBACK).user == mine


SPEAKING: list[tuple[str, dict[str, Any]]] = [
    (RUN, execution(messages=[{"role": "user", "content": f"{MAIL} {CARD}"}])),
    (RUN, execution(messages=[{"role": "tool", "content": [{"type": "text", "text": MAIL}]}])),
    (RUN, execution(messages=[{"role": "assistant", "tool_calls": [
        {"function": {"name": "mail", "arguments": json.dumps({"to": [MAIL], "n": {"k": KEY}})}}]}])),
    (RUN, execution(messages=[{"role": "assistant", "tool_calls": [
        {"name": "mail", "arguments": f"to {MAIL}, {CARD}"}]}])),
    (RUN, execution(messages=[], task={"prompt": MAIL}, outcome={"status": "success", "answer": KEY})),
    (RUN, execution(task={"prompt": "x", "reference": {"card": [CARD]}})),
    (RUN, execution(artifacts=[{"id": "a", "content": MAIL, "uri": f"s3://{KEY}"}])),
    (RUN, execution(tools=[{"name": "t", "description": f"ask {MAIL}"}])),
    (PLAN, plan(goal=f"write {MAIL}", steps=[{"id": "a", "arguments": {"card": CARD}}])),
    (FEEDBACK, edit("r", [{"name": "mail", "arguments": {"to": MAIL}}])),
    (FEEDBACK, {**edit("r", []), "messages": None, "answer": {"card": CARD}}),
    (FEEDBACK, thumb("r", kind="comment", comment=f"call {MAIL}")),
    ("telemetry.sampled", telemetry(note={"who": MAIL})),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "data"), SPEAKING, ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(SPEAKING)]
)
def test_text_is_redacted_wherever_it_stands(kind: str, data: dict[str, Any]) -> None:
    row = row_of(data, kind)
    assert row.disposition != "dead_letter"
    assert "_1>" in (row.content or "")
    for secret in (MAIL, CARD, KEY):
        assert secret not in repr(row)
    # Elsewhere digests and random ids may hold four such digits.
    assert "4111" not in (row.content or "")
    if row.type != "telemetry.sampled":
        assert row.pii
        assert set(json.loads(row.pii)) <= {"EMAIL", "CARD", "KEY"}


def test_the_same_person_is_the_same_placeholder_throughout_a_trace() -> None:
    turns = [
        {"role": "user", "content": f"mail {MAIL} and bob@x.org"},
        {"role": "assistant", "tool_calls": [{"name": "mail", "arguments": {"to": MAIL}}]},
    ]
    content = json.loads(row_of(execution(messages=turns)).content or "")
    assert content["messages"][0]["content"] == "mail <EMAIL_1> and <EMAIL_2>"
    assert content["messages"][1]["tool_calls"][0]["arguments"] == {"to": "<EMAIL_1>"}


def test_prompts_that_differ_in_personal_data_alone_are_one_prompt() -> None:
    def digest(mail: str) -> str | None:
        return row_of(
            execution(messages=[{"role": "user", "content": f"mail {mail}"}])
        ).prompt_digest

    assert digest("ann@x.org") == digest("bob@y.org") != digest("nobody")


def mails(*found: str, tenant: str = "default", key: bytes = b"key") -> dict[str, int]:
    messages = [{"role": "user", "content": " and ".join(found)}]
    row = row_of(execution(messages=messages, tenant_id=tenant), key=key)
    held: dict[str, int] = json.loads(row.pii or "")["EMAIL"]
    return held


def test_what_was_found_is_remembered_as_keyed_hmacs_in_the_order_of_placeholders() -> None:
    held = mails(MAIL, "bob@x.org", MAIL)
    ann, bob = held
    assert (held[ann], held[bob]) == (2, 1)
    assert all(len(name) == 32 and int(name, 16) for name in held)
    assert [*mails("bob@x.org")] == [bob]


def test_rows_can_be_found_by_a_mail_address_however_it_was_written() -> None:
    hidden = Pseudonyms(b"key").finding("default", "EMAIL", "ann@x.org")
    assert [*mails("ANN@X.org")] == [*mails("ann%40x.org")] == [hidden]
    row = row_of(execution(messages=[{"role": "user", "content": f"{CARD} {MAIL}"}]))
    assert f'"{hidden}"' in (row.pii or "")


def test_tenants_keys_and_kinds_separate_equal_findings() -> None:
    names = {
        name
        for tenant in "ab"
        for key in (b"k", b"l")
        for name in mails(MAIL, tenant=tenant, key=key)
    }
    hide = Pseudonyms(b"k")
    names |= {
        hide.finding("a", "KEY", MAIL),
        hide.hide("a", "EMAIL", MAIL) or "",
        hide.hide("a", "user", MAIL) or "",
    }
    assert len(names) == 7


NAMED: list[tuple[str, dict[str, Any], str]] = [
    (RUN, execution(agent_id=MAIL), "agent"),
    (RUN, execution(task={"prompt": "x", "domain": MAIL}), "domain"),
    (RUN, execution(task={"prompt": "x", "type": MAIL}), "task_type"),
    (RUN, execution(model={"name": MAIL}), "model"),
    (RUN, execution(model={"name": "m", "base_digest": MAIL}), "base_digest"),
    (RUN, execution(model={"name": "m", "adapter_digest": MAIL}), "adapter_digest"),
    (RUN, execution(model={"name": "m", "rollout_id": MAIL}), "rollout_id"),
    (RUN, execution(tools=None, tools_digest=MAIL), "tools_digest"),
    (PLAN, plan(domain=MAIL), "domain"),
    ("telemetry.sampled", telemetry(agent_id=MAIL), "agent"),
]


@pytest.mark.parametrize(
    ("kind", "data", "column"), NAMED, ids=[f"{kind}-{column}" for kind, _, column in NAMED]
)
def test_a_name_that_holds_personal_data_is_hidden(
    kind: str, data: dict[str, Any], column: str
) -> None:
    row = row_of(data, kind)
    assert row.disposition != "dead_letter"
    assert MAIL not in repr(row)
    assert getattr(row, column) == Pseudonyms(b"key").hide("default", "name", MAIL)


def test_other_names_stay_as_they_are() -> None:
    model = {"name": "qwen3-4b", "base_digest": "sha256:" + "a1" * 32, "rollout_id": "r-20261122"}
    row = row_of(
        execution(agent_id="desk 7", model=model, task={"prompt": "x", "domain": "travel"})
    )
    assert (row.agent, row.model, row.domain) == ("desk 7", "qwen3-4b", "travel")
    assert (row.base_digest, row.rollout_id) == (model["base_digest"], model["rollout_id"])
    long = "desk " * 100
    assert row_of(execution(agent_id=long)).agent == long


def test_phone_regions_are_a_setting() -> None:
    text = "Wir sind erreichbar: 030 1234 5678"
    told = event(RUN, execution(messages=[{"role": "user", "content": text}]))
    here, there = (
        Curator("c", CurationPolicy(hmac_key=b"key", phone_regions=regions)).row(record(told))
        for regions in (("US",), ("US", "DE"))
    )
    assert (here.pii, "030 1234 5678" in (here.content or "")) == (None, True)
    assert "<PHONE_1>" in (there.content or "")
    assert [*json.loads(there.pii or "")["PHONE"]] == [
        Pseudonyms(b"key").finding("default", "PHONE", "+493012345678")
    ]
