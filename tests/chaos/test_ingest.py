"""SIGKILL ingest and its broker while events flow: every record has exactly one row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.ingest_chaos import Chaos
from tests.chaos.plan import SHORT, markdown

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_five_kills_leave_one_row_for_every_record(tmp_path: Path) -> None:
    outcome = Chaos(SHORT, tmp_path, print).run()
    print(markdown(SHORT, outcome))
    assert not outcome.wrong
    assert len(outcome.hits) == len(SHORT.faults)
    assert min(hit.lag for hit in outcome.hits) > 0, "a kill counts only if work was open"
    assert outcome.figures["records"] == outcome.figures["rows"] == SHORT.events
    assert outcome.figures["dead_letter"] == SHORT.events // 50
    assert outcome.figures["duplicate"] == SHORT.events // 40
    assert outcome.figures["snapshots read meanwhile"] > 1
