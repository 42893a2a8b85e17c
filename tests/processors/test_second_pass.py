"""What must never remain in a row's text does not: the second pass, and what becomes of its row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from operations.ingest_batch import IngestBatch
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from processors.curation.redacted_content import not_redacted
from processors.curation.residue import SecondPass
from schemas.digests import compact_json
from schemas.records import TopicPartition
from schemas.telemetry import Metric
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.support import event, execution, record

MAIL, CARD, KEY, SSN = "ann@x.org", "4111111111111111", "sk-" + "a1B2" * 8, "378-05-1120"
POLICY = CurationPolicy(hmac_key=b"key")
SECOND = SecondPass()


def run(arguments: dict[str, Any]) -> dict[str, Any]:
    call = {"name": "save", "arguments": arguments}
    return execution(
        messages=[
            {"role": "user", "content": "save it"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
    )


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({MAIL: 1}, ("EMAIL",)),
        ({"a": [{CARD: KEY}]}, ("CARD", "KEY")),
        ({"a": f"\n{SSN}\n"}, ("SSN",)),
        ({"a": json.dumps({"b": f"\n{KEY}"})}, ("KEY",)),
        ({"a": int(CARD)}, ("CARD",)),
        ({"ann\uff20x.org": 1, "4111\u00a01111\u00a01111\u00a01111": 2}, ("CARD", "EMAIL")),
        ({"a": "<EMAIL_1> <CARD_2> <KEY_1> <SSN_1>", "n": 0.4111111111111111}, ()),
        ({"a": "10.0.0.1, +33 1 23 45 67 89"}, ()),
        ({"a": "4111111111111112, 000-12-3456, task-" + "long-" * 9}, ()),
    ],
)
def test_what_is_left_is_named(value: Any, left: tuple[str, ...]) -> None:
    assert SECOND.left(compact_json(value)) == left


@pytest.mark.parametrize("kind", ["execution.completed", "planning.completed"])
def test_a_row_whose_text_is_not_clean_holds_no_text_and_goes_to_review(kind: str) -> None:
    arguments = {MAIL: "first", "to": "bob@x.org", "by": {CARD: 1}}
    data = run(arguments)
    if kind == "planning.completed":
        data = {"plan_id": "p", "agent_id": "a", "goal": "go", "steps": [{"id": "a", "arguments": arguments}],
                "valid": True, "model": {"name": "m"}}  # fmt: skip
    row = Curator("c", POLICY).row(record(event(kind, data)))
    assert (row.disposition, row.reasons) == ("review", ("redaction_incomplete", "CARD", "EMAIL"))
    assert (row.content, row.pii, row.prompt_digest) == (None, None, None)
    assert not_redacted(row) == ("CARD", "EMAIL")
    for secret in (MAIL, CARD, "bob"):
        assert secret not in repr(row)


@pytest.mark.parametrize("before", [None, True, False, [None], {}, [[], "x"]], ids=str)
def test_a_number_that_a_text_before_it_calls_a_card_is_replaced(before: Any) -> None:
    data = run({"m": "my card is", "n": [before, int(CARD)]})
    row = Curator("c", POLICY).row(record(event("execution.completed", data)))
    assert (row.disposition, CARD in str(row.content)) == ("accepted", False)
    assert "<CARD_1>" in str(row.content)


def test_a_broken_first_pass_is_seen_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.curation.redact.Trace.text", lambda _self, text, _name="": text)
    data = execution(messages=[{"role": "user", "content": f"write to {MAIL} or {SSN}"}])
    row = Curator("c", POLICY).row(record(event("execution.completed", data)))
    assert (row.content, row.reasons) == (None, ("redaction_incomplete", "EMAIL", "SSN"))


class Counting:
    """A meter that keeps what it is told."""

    def __init__(self) -> None:
        self.counts: dict[tuple[Metric, str], float] = {}

    def count(self, metric: Metric, amount: float = 1.0, **labels: str) -> None:
        key = (metric, labels.get("kind", ""))
        self.counts[key] = self.counts.get(key, 0) + amount

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        pass

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        pass


def test_it_is_counted_by_kind(tmp_path: Path) -> None:
    meter = Counting()
    writer, reader = DeltaLedgerWriter(tmp_path, "c"), DeltaLedgerReader(tmp_path)
    batch = IngestBatch(writer, reader, "c", POLICY, meter)
    tp = TopicPartition("execution.completed", 0)
    batch.claim([tp])
    held = [run({MAIL: 1}), run({MAIL: 1, CARD: 2}), run({"to": MAIL})]
    records = [record(event(tp.topic, data), offset=n) for n, data in enumerate(held)]
    batch.commit(batch.decide(records), {tp: 3})
    kinds = {kind: n for (metric, kind), n in meter.counts.items() if metric is Metric.NOT_REDACTED}
    assert kinds == {"CARD": 1, "EMAIL": 2, "KEY": 0, "SSN": 0}
