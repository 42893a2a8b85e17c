"""What a person states fills gaps only, and what stays open is told."""

from __future__ import annotations

from typing import Any

import pytest

from processors.curation.dispose import dispose_run, effective_trust
from processors.curation.policy import CurationPolicy
from processors.imports.openai_chat import openai_chat
from processors.imports.port import Imported
from processors.imports.stated import DerivedTools, Stated, absent, complete
from schemas.executions import ExecutionData
from schemas.rows import Disposition
from tests.imports.samples import chat, chat_lines

TOOLS = ({"type": "function", "function": {"name": "track"}},)
EVERYTHING = Stated(model="mine", trust="internal", tools=TOOLS)
POLICY = CurationPolicy(hmac_key=b"k")


def item(**changes: Any) -> Imported:
    (found,) = openai_chat("f.jsonl", chat_lines(chat(**changes)))
    assert isinstance(found, Imported)
    return found


def decided(found: Imported) -> tuple[Disposition, set[str]]:
    """What ingest would decide under its defaults."""
    data = ExecutionData.model_validate(found.data)
    trust = effective_trust(data.trust, found.source, POLICY)
    decision = dispose_run(data, trust=trust, quality=100.0, policy=POLICY)
    return decision.disposition, set(decision.reasons) - {"confidence_absent"}


def test_gaps_are_filled() -> None:
    data = complete(item(), EVERYTHING, {}).data
    assert data["model"] == {"name": "mine"}
    assert (data["trust"], data["tools"]) == ("internal", list(TOOLS))


def test_what_the_source_says_stands() -> None:
    own = [{"type": "function", "function": {"name": "own"}}]
    said = item(model={"name": "theirs", "arm": "stable"}, trust="external", tools=own)
    data = complete(said, EVERYTHING, {}).data
    assert data["model"] == {"name": "theirs", "arm": "stable"}
    assert (data["trust"], data["tools"]) == ("external", own)


def test_a_model_without_a_name_keeps_what_it_has() -> None:
    data = complete(item(model={"base_digest": "b"}), EVERYTHING, {}).data
    assert data["model"] == {"name": "mine", "base_digest": "b"}


@pytest.mark.parametrize(
    ("stated", "reasons"),
    [
        (EVERYTHING, set()),
        (Stated(trust="internal"), {"no_model"}),
        (Stated(model="mine"), {"unknown_trust"}),
        (Stated(), {"no_model", "unknown_trust"}),
    ],
)
def test_without_model_or_trust_traces_wait_for_review(stated: Stated, reasons: set[str]) -> None:
    disposition, found = decided(complete(item(), stated, {}))
    assert found == reasons
    assert disposition is (Disposition.REVIEW if reasons else Disposition.ACCEPTED)


def test_what_stays_absent() -> None:
    silent = absent(complete(item(), Stated(), {}))
    assert {"model", "trust", "tools", "time", "user_id", "session_id", "domain"} <= set(silent)
    assert {"cost_usd", "duration_ms", "input_tokens", "output_tokens", "confidence"} <= set(silent)
    full = item(
        time=1,
        user_id="u",
        session_id="s",
        domain="d",
        confidence=0.0,
        metrics={"cost_usd": 0, "duration_ms": 0, "input_tokens": 0, "output_tokens": 0},
    )
    assert absent(complete(full, EVERYTHING, {})) == []


def test_derived_tools_are_those_of_the_agent_and_the_last_resort() -> None:
    tools = DerivedTools()
    own = [{"type": "function", "function": {"name": "own"}}]
    for found in (item(agent_id="a"), item(agent_id="b", messages=[{"role": "user"}])):
        tools.see(found)
    tools.see(item(agent_id="c", tools=own))
    derived = tools.by_agent()
    assert [tool["function"]["name"] for tool in derived["a"]] == ["track"]
    assert (derived["b"], "c" in derived) == ([], False)
    assert complete(item(agent_id="a"), Stated(), derived).data["tools"] == derived["a"]
    assert "tools" not in complete(item(agent_id="b"), Stated(), derived).data
    assert complete(item(agent_id="a"), EVERYTHING, derived).data["tools"] == list(TOOLS)
