"""One window, one digest: whatever the order, the pieces, the processes and the threads.

The window has more than 5,000 rows in five partitions, near-duplicates across them, late and edited
feedback; outliers are really dropped and the cap on own output is active.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.datasets import Recipe
from schemas.rows import Row
from tests.processors.window import RECIPE, SealedWindow
from tests.sealing import seal

ROOT = Path(__file__).resolve().parents[2]
EXECUTIONS = [f"execution.completed:{partition}" for partition in range(3)]
OPINIONS = [f"feedback.received:{partition}" for partition in range(2)]


def spawn(threads: int, *arguments: str) -> subprocess.Popen[str]:
    """A fresh interpreter with another hash seed and so many threads for BLAS and OpenMP."""
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(limits, str(threads))
    environment["PYTHONHASHSEED"] = str(threads)
    command = [sys.executable, "-m", "tests.processors.window", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return output.strip()


def test_the_window_holds_what_a_seal_has_to_deal_with(window: SealedWindow) -> None:
    inside = [row for row in window.rows if row.offset < window.offsets[place(row)]]
    assert len(inside) >= 5_000
    assert len({row.partition for row in inside if row.type == "execution.completed"}) >= 3
    assert len(window.sealed.examples) >= 1_000
    assert window.sealed.dropped.keys() == {
        "duplicate_across_partitions",
        "erased",
        "exact_duplicate",
        "ingest_rejected",
        "ingest_review",
        "near_duplicate",
        "negative_feedback",
        "no_tools",
        "outlier",
        "outside_window",
        "own_output",
        "rejected_by_person",
        "shadow",
        "stale_tools",
    }
    assert min(window.sealed.dropped.values()) >= 10
    assert any(example.label_row for example in window.sealed.examples)
    assert len({example.weight for example in window.sealed.examples}) > 3
    assert len(window.sealed.pairs) >= 100


def place(row: Row) -> str:
    return f"{row.cluster}:{row.topic}:{row.partition}"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_does_not_matter(window: SealedWindow, seed: int) -> None:
    rows = list(window.rows)
    random.Random(seed).shuffle(rows)
    assert seal(rows, RECIPE, window.offsets) == window.sealed


def test_how_the_rows_are_read_does_not_matter(window: SealedWindow) -> None:
    def in_pieces() -> Iterator[Row]:
        for start in reversed(range(0, len(window.rows), 777)):
            yield from window.rows[start : start + 777]

    offsets = dict(reversed(window.offsets.items()))
    assert seal(in_pieces(), RECIPE, offsets) == window.sealed


def test_processes_hash_seeds_and_threads_do_not_matter(
    window: SealedWindow, tmp_path: Path
) -> None:
    files = [str(tmp_path / "left"), str(tmp_path / "right")]
    whole = spawn(2, "digest")
    halves = [
        spawn(1, "rows", files[0], EXECUTIONS[2], OPINIONS[0]),
        spawn(2, "rows", files[1], *EXECUTIONS[:2], OPINIONS[1]),
    ]
    assert [finish(half) for half in halves] == ["", ""]
    rows = [row for file in files for row in pickle.loads(Path(file).read_bytes())]
    assert len(rows) == len(window.rows)
    assert seal(rows, RECIPE, window.offsets) == window.sealed
    assert finish(whole) == window.sealed.digest


def digest_with(window: SealedWindow, changed: Row) -> str:
    rows = [changed if row.row_id == changed.row_id else row for row in window.rows]
    assert rows != window.rows
    return seal(rows, RECIPE, window.offsets).digest


def reworded(row: Row) -> Row:
    """The same row with another answer of the same length."""
    content = json.loads(row.content or "")
    turn = content["messages"][-1 if row.feedback else 2]
    arguments = turn["tool_calls"][0]["arguments"]
    turn["tool_calls"][0]["arguments"] = {name: text[::-1] for name, text in arguments.items()}
    return row._replace(content=json.dumps(content))


def rows_by_id(window: SealedWindow) -> dict[str, Row]:
    return {row.row_id: row for row in window.rows}


def test_other_content_in_any_selected_row_is_another_dataset(window: SealedWindow) -> None:
    known, dice = rows_by_id(window), random.Random(3)
    answers = [example.row_id for example in window.sealed.examples if not example.label_row]
    labels = [example.label_row for example in window.sealed.examples if example.label_row]
    names = [*dice.sample(answers, 5), *dice.sample(labels, 3)]
    digests = {digest_with(window, reworded(known[name])) for name in names}
    assert len(digests) == len(names)
    assert window.sealed.digest not in digests


@pytest.mark.parametrize(
    "change", [{"quality": 71.0}, {"domain": "space"}, {"adapter_digest": "b" * 64}], ids=str
)
def test_other_facts_of_a_selected_row_are_another_dataset(
    window: SealedWindow, change: dict[str, Any]
) -> None:
    name = next(e.row_id for e in window.sealed.examples if e.adapter_digest and not e.label_row)
    changed = rows_by_id(window)[name]._replace(**change)
    assert digest_with(window, changed) != window.sealed.digest


def test_rows_that_were_left_out_can_change_without_a_trace(window: SealedWindow) -> None:
    chosen = {name for e in window.sealed.examples for name in (e.row_id, e.label_row)}
    idle = [row for row in window.rows if row.row_id not in chosen and row.content]
    rejected = next(row for row in idle if row.disposition == "rejected")
    outside = min(idle, key=lambda row: row.event_time or 0)
    beyond = next(row for row in idle if row.offset >= window.offsets[place(row)])
    for row in (rejected, outside, beyond):
        assert digest_with(window, row._replace(content="{}")) == window.sealed.digest


@pytest.mark.parametrize("change", [{"seed": 1}, {"min_examples": 99}, {"golden_size": 7}], ids=str)
def test_the_recipe_is_part_of_the_identity(window: SealedWindow, change: dict[str, Any]) -> None:
    recipe = Recipe(**{**RECIPE.model_dump(), **change})
    assert seal(window.rows, recipe, window.offsets).digest != window.sealed.digest
