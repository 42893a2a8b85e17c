"""Ingest's decision: one record in, one row out, the same each time, and nothing that must not stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.digests import sha256_hex
from schemas.errors import Code
from schemas.rows import Disposition, Row
from tests.schemas.mutators import SHAPES, mutated
from tests.support import (
    NOW,
    edit,
    erasure,
    event,
    execution,
    gateway,
    plan,
    record,
    telemetry,
    thumb,
)

POLICY = CurationPolicy(hmac_key=b"key")
CURATOR = Curator("c", POLICY)
RUN = "execution.completed"


def row_of(data: dict[str, Any], kind: str = RUN, **attributes: Any) -> Row:
    return CURATOR.row(record(event(kind, data, **attributes)))


@given(st.randoms(use_true_random=False))
def test_the_same_record_gives_the_same_row_whoever_computes_it_and_when(dice: Any) -> None:
    records = [mutated(dice) for _ in range(4)]
    rows = [CURATOR.row(found) for found in records]
    fresh = Curator("c", CurationPolicy(hmac_key=b"key"))
    assert [fresh.row(found) for found in reversed(records)] == rows[::-1]


@given(st.randoms(use_true_random=False), st.integers(0, 9), st.integers(0, 10**12))
def test_where_a_record_lies_changes_only_where_the_row_lies(
    dice: Any, partition: int, offset: int
) -> None:
    found = mutated(dice)
    moved = CURATOR.row(found._replace(topic="other", partition=partition, offset=offset))
    there = CURATOR.row(found)
    expected = there._replace(topic="other", partition=partition, offset=offset)
    assert moved == expected


@pytest.mark.parametrize("value", [None, b"", b"secret", b'{"id": "secret"}', b"\0secret"])
def test_a_dead_letter_s_row_holds_no_content(value: bytes | None) -> None:
    row = CURATOR.row(record(value, offset=7))
    assert row.disposition == "dead_letter"
    assert [row.error_code] == [code.number for code in Code if (code.name.lower(),) == row.reasons]
    assert (row.size, row.digest) == (len(value or b""), sha256_hex(value or b""))
    known = {
        "cluster",
        "topic",
        "partition",
        "offset",
        "timestamp",
        "incarnation",
        "size",
        "digest",
    }
    stated = {name for name, held in row._asdict().items() if held is not None}
    assert stated == known | {"disposition", "reasons", "error_code"}
    assert "secret" not in repr(row)


@pytest.mark.parametrize("step", ["Redactor.trace_of", "Trace.text"])
def test_what_cannot_be_redacted_is_not_kept(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Any, *_given: Any) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(f"processors.curation.redact.{step}", fail)
    asked = [{"role": "user", "content": "write to ann@x.org"}]
    correction = {**edit("r", []), "messages": asked}
    for kind, data in ((RUN, execution(messages=asked)), ("feedback.received", correction)):
        row = row_of(data, kind)
        assert (row.disposition, row.reasons) == ("review", ("redaction_failed", "RuntimeError"))
        assert (row.content, row.prompt_digest, row.pii) == (None, None, None)
        assert (row.type, row.id is None) == (kind, False)
        assert "secret" not in repr(row)


@pytest.mark.parametrize("field", ["messages", "task", "tools"])
def test_a_number_beyond_float_is_a_dead_letter_wherever_it_stands(field: str) -> None:
    held = {
        "messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": {"a": "@"}}]}],
        "task": {"prompt": "x", "reference": ["@"]},
        "tools": [{"name": "f", "maximum": "@"}],
    }
    raw = json.dumps(event(RUN, execution(**{field: held[field]}))).replace('"@"', "1e999")
    row = CURATOR.row(record(raw.encode()))
    assert (row.disposition, row.error_code, row.content) == ("dead_letter", "E7016", None)


def test_a_row_says_what_the_event_said() -> None:
    data = execution(
        model={"name": "m", "adapter_digest": "ad", "arm": "candidate", "rollout_id": "ro"},
        metrics={"cost_usd": 0.5, "duration_ms": 12, "input_tokens": 3},
        outcome={"status": "partial", "gates": [{"name": "valid_answer", "passed": True}]},
        plan_id="p",
    )
    row = row_of(data, id="e1")
    assert (row.source, row.id, row.tenant, row.agent) == ("urn:test", "e1", "default", "agent")
    assert (row.model, row.adapter_digest, row.arm, row.rollout_id) == (
        "m",
        "ad",
        "candidate",
        "ro",
    )
    assert (row.run_id, row.plan_id, row.task) == (data["execution_id"], "p", data["task"]["id"])
    assert (row.status, row.success, row.valid) == ("partial", False, True)
    assert (row.cost_usd, row.duration_ms, row.input_tokens, row.output_tokens) == (
        0.5,
        12,
        3,
        None,
    )
    assert json.loads(row.quality_parts or "") == {"outcome": 0.5, "gates": 1.0, "health": 1.0}
    assert (row.quality, row.confidence, row.trust) == (70.0, 0.9, "internal")
    assert json.loads(row.content or "")["messages"][1]["tool_calls"][0]["name"] == "search"


@pytest.mark.parametrize(
    ("kind", "data", "disposition", "reasons"),
    [
        ("planning.completed", plan(), "accepted", ("confidence_absent",)),
        ("feedback.received", thumb("r"), "accepted", ()),
        ("telemetry.sampled", telemetry(), "accepted", ()),
        ("gateway.adapter", gateway(), "accepted", ()),
        ("com.acme.other", {"a": 1}, "rejected", ("unknown_type",)),
    ],
)
def test_other_types(kind: str, data: Any, disposition: str, reasons: tuple[str, ...]) -> None:
    row = row_of(data, kind)
    assert (row.type, row.disposition, row.reasons) == (kind, disposition, reasons)


@pytest.mark.parametrize(
    ("time", "expected", "source"),
    [
        ("2026-03-01T11:00:00+00:00", datetime(2026, 3, 1, 11, tzinfo=UTC), "event"),
        ("2026-03-01T12:30:00+02:00", datetime(2026, 3, 1, 10, 30, tzinfo=UTC), "event"),
        ("2026-03-01T12:00:01Z", NOW, "kafka"),
        (None, NOW, "kafka"),
    ],
)
def test_event_time_is_the_earlier_of_both_clocks(
    time: Any, expected: datetime, source: str
) -> None:
    row = row_of(execution(), time=time)
    assert (row.event_time, row.time_source) == (expected, source)


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [(0, "1970-01-01"), (-1, "1970-01-01"), (2**63 - 1, "9999-12-31"), (10**15, "9999-12-31")],
)
def test_any_kafka_timestamp_is_a_time(timestamp: int, day: str) -> None:
    body = {name: fact for name, fact in event(RUN, execution()).items() if name != "time"}
    row = CURATOR.row(record(body, timestamp=timestamp))
    assert row.event_time is not None
    assert (row.event_time.date().isoformat(), row.timestamp) == (day, timestamp)


def test_nul_stays_in_no_column() -> None:
    data = execution(session_id="a\0", model={"name": "m\0"}, agent_id="\0")
    data["messages"][0]["content"] = "x\0y"
    row = row_of(data, id="i\0", source="s\0")
    assert "\0" not in repr(tuple(row))
    assert (row.id, row.model, row.agent) == ("i\ufffd", "m\ufffd", "\ufffd")
    assert "\\u0000" not in (row.content or "")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape["type"])
def test_shapes_of_each_type_are_not_dead_letters(shape: dict[str, Any]) -> None:
    row = CURATOR.row(record(shape))
    assert row.disposition in (Disposition.ACCEPTED, Disposition.REJECTED)
    assert isinstance(row.disposition, Disposition)


def test_erasures_hold_the_shape_of_a_subject_and_no_more() -> None:
    row = row_of(erasure(user_id="ann", reason="GDPR of ann@x.org"), "feedback.received")
    assert json.loads(row.subject or "").keys() == {"user"}
    assert "ann" not in repr(row)
    row = row_of(erasure(source="s", execution_id="r"), "feedback.received")
    assert json.loads(row.subject or "") == {"source": "s", "execution_id": "r"}
