"""Small ledgers of curated events, and commands on them, for tests of what people decide."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.records import TopicPartition
from schemas.rows import Row
from service.cli import main
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.support import event, execution, record

POLICY = CurationPolicy(hmac_key=b"key")
RECIPE: dict[str, Any] = {"min_examples": 1, "min_score": 0, "max_own_share": 1.0}


def doubtful(name: str, **changes: Any) -> dict[str, Any]:
    """An execution that ingest leaves to a person, for its confidence."""
    return execution(**{"execution_id": name, "confidence": 0.3, **changes})


def body(data: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    """The event of its data: what it has says what it is."""
    kind = "planning.completed" if "goal" in data else "execution.completed"
    return event("feedback.received" if "kind" in data else kind, data, **attributes)


def curated(bodies: Sequence[dict[str, Any]], starts: dict[str, int] | None = None) -> list[Row]:
    """The rows that ingest makes of events, each topic's on one partition, from offsets in `starts` on."""
    curator, ends = Curator("c", POLICY), Counter(starts or {})
    rows = []
    for one in bodies:
        topic = str(one["type"])
        rows.append(curator.row(record(one, topic=topic, offset=ends[topic])))
        ends[topic] += 1
    return rows


def append(folder: Path, *bodies: dict[str, Any]) -> list[Row]:
    """Curate events and commit them to a ledger, after those that are there."""
    topics = sorted({str(one["type"]) for one in bodies})
    writer = DeltaLedgerWriter(folder, "c")
    starts = writer.claim([TopicPartition(topic, 0) for topic in topics])
    rows = curated(bodies, {tp.topic: start or 0 for tp, start in starts.items()})
    ends = {TopicPartition(row.topic, 0): row.offset + 1 for row in rows}
    writer.append(rows, ends)
    return rows


def stored(folder: Path) -> list[Row]:
    """All rows of a ledger, in order."""
    return sorted(DeltaLedgerReader(folder).rows(), key=lambda row: (row.topic, row.offset))


def command(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Run a command in this process: what it says on stdout and stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["lorikeet", *arguments])
        patch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code, err.getvalue()
    return out.getvalue(), err.getvalue()


def lines(*values: Any) -> bytes:
    """JSON lines."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)
