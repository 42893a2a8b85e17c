"""Labels at ingest: what the event itself says, the same by either reading, and nothing that must not stay."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from processors.imports.port import Imported
from processors.imports.tau2 import tau2
from schemas.envelope import Limits
from schemas.fastpath import read_fast
from schemas.rows import Row
from tests.imports import real_traces
from tests.processors.test_fastpath import by_contract
from tests.support import binary, call, event, execution, plan, record

CURATOR = Curator("c", CurationPolicy(hmac_key=b"key"))
RUN, PLAN = "execution.completed", "planning.completed"
FACTS = ("steps", "tool_errors", "replans", "tokens")
SHARES = ("synthetic", "grounding", "contradiction", "specificity", "correctness")
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "x" * 100},
    {"role": "assistant", "content": "four", "tool_calls": [call("find", a=1, b=[0.5, "é"])]},
    {"role": "tool", "content": "no", "error": True},
    {"role": "tool", "content": "yes"},
    {"role": "assistant", "content": [{"type": "text", "text": "done"}]},
]


def row_of(data: dict[str, Any], kind: str = RUN, curator: Curator = CURATOR) -> Row:
    """The row of an event; of an execution by both readings, which have to agree."""
    body = event(kind, data)
    row = curator.row(record(body))
    for found in (record(body), binary(body)):
        assert by_contract(found, curator) == curator.row(found)
        if kind == RUN and "\\u0000" not in json.dumps(data):
            assert read_fast(found, Limits()) is not None
    return row


def shares(row: Row) -> dict[str, float]:
    """The stated shares of a row."""
    return {name: held for name in SHARES if (held := getattr(row, name)) is not None}


def gates_of(*gates: tuple[str, bool], curator: Curator = CURATOR) -> dict[str, bool] | None:
    held = [{"name": name, "passed": passed, "detail": "x"} for name, passed in gates]
    row = row_of(execution(outcome={"status": "success", "gates": held}), curator=curator)
    found: dict[str, bool] | None = json.loads(row.gates) if row.gates else None
    return found


def test_a_run_s_difficulty_is_counted_from_its_messages() -> None:
    row = row_of(execution(messages=TURNS))
    written = 4 + len("find") + len('{"a":1,"b":[0.5,"é"]}') + 4
    assert [getattr(row, name) for name in FACTS] == [2, 1, None, written / 4]
    nested = {"id": "c", "function": {"name": "find", "arguments": '{"a": 1, "b": [0.5, "é"]}'}}
    turns = [TURNS[0], {**TURNS[1], "tool_calls": [nested]}, *TURNS[2:]]
    assert row_of(execution(messages=turns)).tokens == row.tokens
    calls = [{"name": "f", "arguments": "not json"}, {"name": "g"}]
    row = row_of(execution(messages=[{"role": "assistant", "tool_calls": calls}]))
    assert row.tokens == (1 + len('"not json"') + 1 + len("{}")) / 4


def test_what_a_run_does_not_say_stays_absent() -> None:
    row = row_of(execution(messages=[], outcome={"status": "success", "answer": "42"}))
    assert {getattr(row, name) for name in (*FACTS, *SHARES, "gates")} == {None}


def test_a_plan_s_difficulty_is_that_of_its_steps() -> None:
    steps = [
        {"id": "a", "description": "ask", "tool": "search", "arguments": {"q": "x"}},
        {"id": "b", "depends_on": ["a"]},
    ]
    row = row_of(plan(steps=steps, replans=2, valid=False), PLAN)
    assert [getattr(row, name) for name in FACTS] == [2, None, 2, (3 + 6 + len('{"q":"x"}')) / 4]
    assert (row.valid, row.gates) == (False, None)
    content = json.loads(row.content or "")
    assert content.keys() == {"goal", "steps", "tools"}
    assert [step.get("depends_on") for step in content["steps"]] == [[], ["a"]]
    silent = row_of(plan(steps=[]), PLAN)
    assert {getattr(silent, name) for name in FACTS} == {None}


@pytest.mark.parametrize(("kind", "data"), [(RUN, execution()), (PLAN, plan())], ids=[RUN, PLAN])
def test_metrics_and_labels_become_columns(kind: str, data: dict[str, Any]) -> None:
    metrics = {"grounding_score": 0.75, "contradiction_rate": 0}
    labels = {"synthetic": "true", "specificity": "0.5", "correctness": "1", "mood": "0.3"}
    row = row_of({**data, "metrics": metrics, "labels": labels}, kind)
    stated = {"synthetic": 1, "specificity": 0.5, "correctness": 1}
    assert shares(row) == {"grounding": 0.75, "contradiction": 0, **stated}
    assert "mood" not in repr(row)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        *[("0", 0.0), ("1", 1.0), ("1.0", 1.0), ("0.25", 0.25), (".5", 0.5), ("5e-05", 5e-05)],
        *[("true", 1.0), ("false", 0.0)],
        *[(text, None) for text in ("", "1.01", "-0.1", "high", "nan", "inf", " 1", "0_1", "٠", "1e9", "1" * 99)],
    ],
)  # fmt: skip
def test_a_label_is_a_share_or_absent(text: str, share: float | None) -> None:
    for name in ("synthetic", "specificity", "correctness"):
        assert getattr(row_of(execution(labels={name: text})), name) == share


def test_gates_are_kept_by_name_and_say_what_no_label_says() -> None:
    assert gates_of(("Tests pass", True), ("lint", False)) == {"Tests pass": True, "lint": False}
    assert gates_of(("a", True), ("a", False)) == gates_of(("a", False), ("a", True))
    assert gates_of(("a", True), ("a", False)) == {"a": False}
    assert gates_of() is None
    gates = [{"name": "correctness", "passed": False}, {"name": "specificity", "passed": True}]
    outcome = {"status": "success", "gates": [*gates, {"name": "synthetic", "passed": True}]}
    assert shares(row_of(execution(outcome=outcome))) == {"correctness": 0, "specificity": 1}
    row = row_of(execution(outcome=outcome, labels={"correctness": "0.9", "specificity": "some"}))
    assert shares(row) == {"correctness": 0.9, "specificity": 1}


@pytest.mark.parametrize(
    "name",
    [
        *("mail to ann@x.org", "card 4111 1111 1111 1111", "sk-" + "a1B2" * 8, "ann\\u0040x.org"),
        *("nul \0 here", "C-1234 is answered", "x" * 101),
    ],
    ids=["mail", "card", "key", "escaped", "nul", "own", "long"],
)
def test_a_gate_whose_name_must_not_stay_is_left_out(name: str) -> None:
    policy = CurationPolicy(hmac_key=b"key", identifiers={"CUSTOMER": "C-[0-9]{4}"})
    curator = Curator("c", policy)
    for _ in range(2):  # the second time from memory
        assert gates_of((name, True), ("lint", True), curator=curator) == {"lint": True}
    held = [{"name": name, "passed": False}, {"name": "lint", "passed": True}]
    row = row_of(execution(outcome={"status": "success", "gates": held}), curator=curator)
    assert json.loads(row.quality_parts or "")["gates"] == 0.5, "it counts all the same"
    assert (name in repr(row), "ann" in repr(row)) == (False, False)


def test_gates_are_bounded_in_number() -> None:
    found = gates_of(*[(f"gate {n}", True) for n in range(2_000)])
    assert found == {f"gate {n}": True for n in range(50)}


def test_a_row_that_fails_closed_holds_no_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Any, *_given: Any) -> bool:
        raise RuntimeError("secret")

    monkeypatch.setattr("processors.curation.redacted_content.ContentRedactor.leaves", fail)
    outcome = {"status": "success", "gates": [{"name": "lint", "passed": True}]}
    data = event(RUN, execution(outcome=outcome))
    row = Curator("c", CurationPolicy(hmac_key=b"key")).row(record(data))
    assert row.reasons == ("redaction_failed", "RuntimeError")
    assert (row.gates, row.content, row.steps) == (None, None, None)


text = st.sampled_from(["", "0.5", "1", "true", "maybe", "é", 'a"b\\c\n', "ann@x.org", "\0"])
held_labels = st.dictionaries(st.sampled_from([*SHARES, "x"]), text)
held_gates = st.lists(
    st.tuples(st.sampled_from([*SHARES, "é\n", 'q"', "ann@x.org"]), st.booleans())
)


@given(held_labels, held_gates, st.floats(0, 1), st.integers(0, len(TURNS)))
def test_both_readings_label_alike(
    labels: dict[str, str], gates: list[tuple[str, bool]], share: float, turns: int
) -> None:
    held = [{"name": name, "passed": passed} for name, passed in gates]
    data = execution(
        labels=labels,
        messages=TURNS[:turns],
        outcome={"status": "partial", "gates": held},
        metrics={"grounding_score": share, "contradiction_rate": share},
    )
    row = row_of(data)
    assert all(0 <= held <= 1 for held in shares(row).values())
    assert "ann" not in repr(row)
    assert "\0" not in repr(tuple(row))


@pytest.mark.data
def test_real_runs_say_how_long_they_were_and_which_checks_they_passed(shared_data: Path) -> None:
    found = []
    for path in real_traces.tau2(shared_data, "base")[:1]:
        events = tau2(path.name, [gzip.decompress(path.read_bytes())])
        found = [row_of(item.data) for item in events if isinstance(item, Imported)]
    assert len(found) == 20
    assert all((row.steps or 0) > 1 and (row.tokens or 0) > 10 for row in found)
    assert any(row.tool_errors for row in found)
    named = {name for row in found for name in json.loads(row.gates or "{}")}
    assert named
    assert named <= {"db", "communicate", "action", "env_assertion", "nl_assertion"}
