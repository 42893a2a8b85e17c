"""What the benchmarks say is worth what their checks and their arithmetic are."""

from __future__ import annotations

import statistics
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import events, flame, measurement, profile, report
from benchmarks.durability import Latencies, quantile
from benchmarks.job import Job, fingerprint
from benchmarks.measurement import Measurement, run_client
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.events import STRUCTURED
from schemas.rows import Disposition
from tests.support import record


def test_events_have_the_size_and_the_shape_that_is_said() -> None:
    made = [events.event(number) for number in range(300)]
    assert made == [events.event(number) for number in range(300)]
    assert 1_600 < statistics.mean(map(len, made)) < 1_900
    validated = [STRUCTURED.validate_json(value) for value in made]
    assert [event.id for event in validated] == [events.event_id(n) for n in range(300)]
    assert {len(event.data.messages) for event in validated} == {10}


def test_one_in_five_events_carries_personal_data_and_ingest_finds_it() -> None:
    curator = Curator("c", CurationPolicy(hmac_key=b"key"))
    rows = [curator.row(record(events.event(number))) for number in range(500)]
    assert [row.pii is not None for row in rows] == [events.carries_pii(n) for n in range(500)]
    assert {row.disposition for row in rows} <= {Disposition.ACCEPTED, Disposition.REJECTED}


def _bed(total: int) -> Any:
    return SimpleNamespace(events=total, ids=[events.event_id(n) for n in range(total)])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"rows": 2, "ids": None}, "returned 2 rows of 3"),
        ({"rows": 3, "ids": fingerprint(["a", "b", "c"])}, "other ids"),
    ],
)
def test_a_rival_that_returns_other_rows_fails_the_run(
    said: dict[str, Any], why: str, tmp_path: Path
) -> None:
    rival = tmp_path / "rival"
    line = str({"seconds": 1, "cpu": 1, "configuration": "", "versions": {}, **said})
    text = line.replace("'", '"').replace("None", "null")
    rival.write_text(f"#!/bin/sh\necho '{text}'\n")
    rival.chmod(0o755)
    with pytest.raises(SystemExit, match=why):
        run_client("rival", Job("", "", 3, (0,), str(tmp_path)), _bed(3), rival)


def test_goals_compare_medians() -> None:
    def runs(*rates: float) -> list[Measurement]:
        return [Measurement(100, 100 / rate, 1.0, "c", {"p": "1"}) for rate in rates]

    found = {
        "validate": runs(90, 100, 1_000),
        "faust": runs(36),
        "whole": runs(1, 36, 900),
        "whole-2": runs(57),
    }
    assert measurement.median_rate(found["validate"]) == pytest.approx(100)
    page = report.markdown(
        found, day=date(2026, 3, 1), machine={}, events=100, size=1_700, personal=20
    )
    assert "| ≥ 0.35 | 0.36 | met |" in page
    assert "| > 1 | 1.00 | **missed** |" in page
    assert "| ≥ 1.6 | 1.58 | **missed** |" in page
    assert "20% with personal data" in page


def test_samples_are_grouped_by_their_innermost_known_frame() -> None:
    raw = """\
run (consumers/ingest.py:1);decode (schemas/envelope.py:3);x (pydantic/main.py:1) 5
run (consumers/ingest.py:1);text (processors/curation/redact.py:9);m (re2/__init__.py:2) 3
run (consumers/ingest.py:1);select (selectors.py:468) 9
<module> (a.py:1);_load (<frozen importlib._bootstrap>:1);x (pydantic/main.py:1) 7
"""
    stacks = [stack for stack in profile.read(raw) if stack.works]
    assert [(stack.stage, stack.samples) for stack in stacks] == [("validate", 5), ("redact", 3)]
    drawn = flame.graph({tuple(stack.frames): stack.samples for stack in stacks})
    assert "62.5%" in drawn


def test_latencies_from_counts_and_from_a_histograms_growth() -> None:
    counts = Latencies()
    counts.add(np.arange(1_000))
    counts.add(np.array([90_000]))
    assert counts.rows == 1_001
    assert counts.quantile(0.5) == pytest.approx(0.5, abs=0.002)
    assert counts.quantile(1.0) == pytest.approx(59.999)
    before, after = {1.0: 10.0, 2.0: 10.0, float("inf"): 10.0}, {1.0: 60.0, 2.0: 110.0}
    assert quantile(before, {**after, float("inf"): 110.0}, 0.75) == pytest.approx(1.5)
    assert quantile({}, {}, 0.5) is None
