"""The page names what was missed; the seal's events are what the page says they are."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import date
from pathlib import Path

from benchmarks import svg
from benchmarks.curation import page, seal_run
from benchmarks.curation.seal_events import MODEL, offsets, records
from benchmarks.curation.seal_ledger import CLUSTER, fill
from benchmarks.curation.section import Line, Section
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.events import EXECUTION, FEEDBACK, PLAN
from schemas.rows import Disposition


def test_the_page_marks_every_line_and_the_missed_ones_are_named() -> None:
    lines = [
        Line("speed", "≥ 2", "1", met=False),
        Line("size", "≤ 2", "1", met=True),
        Line("shape", "reported", "round", met=None),
    ]
    sections = [Section("One", lines, "words"), Section("Two", [], "more words")]
    text = page.markdown(sections, date(2026, 3, 1), {"memory": "8 GiB"})
    assert "| speed | ≥ 2 | 1 | **missed** |" in text
    assert "| size | ≤ 2 | 1 | met |" in text
    assert "| shape | reported | round |  |" in text
    assert text.index("## One\n\nwords") < text.index("## Two\n\nmore words")
    assert text.endswith("Machine: memory 8 GiB.\n")
    assert page.missed(sections) == lines[:1]


def test_a_plot_over_an_axis_names_its_ticks() -> None:
    ticks = [(0.0, "10,000"), (1.0, "100,000")]
    drawn = svg.lines([("cost", [("whole", [(0.0, 2.0), (1.0, 4.0)])])], svg.Axis(ticks, "rows"))
    assert all(f">{text}<" in drawn for text in ("10,000", "100,000", "rows", "● whole"))
    assert drawn.count("<circle") == len(ticks)
    assert "minutes" not in drawn


def test_the_events_are_those_that_the_page_describes() -> None:
    made = list(records(0, 2_000))
    assert made == [*records(0, 700), *records(700, 2_000)]
    kinds = Counter(record.topic for record in made)
    assert kinds == {EXECUTION: 1_950, PLAN: 50, FEEDBACK: 200}
    frozen = offsets(CLUSTER, 2_000)
    assert all(r.offset < frozen[f"{CLUSTER}:{r.topic}:{r.partition}"] for r in made)
    assert len({(r.topic, r.partition, r.offset) for r in made}) == len(made)


def test_ingest_takes_the_events_as_they_are() -> None:
    curator = Curator(CLUSTER, CurationPolicy(hmac_key=b"key"))
    rows = [curator.row(record) for record in records(0, 1_000)]
    runs = [row for row in rows if row.type == EXECUTION]
    assert {row.model for row in runs} == {MODEL}
    assert 2_400 < statistics.mean(len(row.content or "") for row in runs) < 3_000
    accepted = sum(row.disposition is Disposition.ACCEPTED for row in runs)
    assert 0.88 * len(runs) < accepted < 0.97 * len(runs)
    copies = len(runs) - len({row.prompt_digest for row in runs})
    assert 0.005 * len(runs) < copies < 0.04 * len(runs)


def test_a_small_ledger_is_filled_sealed_and_checked(tmp_path: Path) -> None:
    runs = 400
    fill(tmp_path / "ledger", runs, 150)
    found = seal_run.seal(tmp_path / "ledger", tmp_path / "sealed", runs)
    checked = seal_run.check(tmp_path / "sealed", found["digest"])
    assert checked["examples"] == sum(found["counts"].values()) > runs / 2
    assert (checked["groups"], checked["values"], checked["alike"]) == (0, 0, 0)
    assert found["dropped"].keys() >= {"exact_duplicate", "near_duplicate", "ingest_rejected"}
    assert found["phases"].keys() == set(seal_run.PHASES.values())
    assert found["peak"] >= max(phase["peak"] for phase in found["phases"].values())
