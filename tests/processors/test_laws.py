"""Laws of all processors: light to import, and their inputs are as they were."""

from __future__ import annotations

import copy
import json
import pickle
import pkgutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import processors
from processors.curation import extract, score
from processors.curation.curate import Curator
from processors.curation.seal.decide import decide
from processors.evaluation.graders import exact, tool_call
from processors.evaluation.stages import ValidationSettings, validate
from schemas.datasets import Recipe
from schemas.envelope import decode
from tests.processors.small import OFFSETS, answer, decided, edited, forget, run, said
from tests.processors.window import POLICY
from tests.schemas.mutators import SHAPES
from tests.sealing import choose_golden, held, opened, seal
from tests.support import call, record

ROOT = Path(__file__).resolve().parents[2]
EFFECTS = {
    *("aiokafka", "faust", "sqlalchemy", "deltalake", "obstore", "httpx", "fastapi", "uvicorn"),
    *("torch", "transformers", "peft", "requests", "alembic", "sqlite3", "boto3"),
}
HEAVY = {"sklearn", "rensa", "scipy", "pyarrow", "pandas"}
WINDOWS = ("processors.curation.seal", "processors.curation.emptying", "processors.curation.review")
ROOMS = {"stores", "producers", "serving", "launchers", "operations", "consumers", "service"}
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(processors.__path__, "processors.")
)


def loaded_by(*modules: str) -> set[str]:
    """The top-level names that a fresh interpreter has loaded after importing these."""
    code = (
        f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_processors_pull_in_no_kafka_no_database_no_torch() -> None:
    assert len(MODULES) > 20
    found = loaded_by(*MODULES)
    assert "processors" in found
    assert not found & (EFFECTS | (HEAVY - {"pyarrow"}) | ROOMS | {"training"})


def test_only_what_goes_over_windows_needs_columns() -> None:
    """Ingest decides about events, not about tables: its processes are small."""
    light = [name for name in MODULES if not name.startswith(WINDOWS)]
    assert len(light) > 20
    assert not loaded_by(*light) & HEAVY


def test_schemas_need_pydantic_and_nothing_heavy() -> None:
    found = loaded_by("schemas.envelope", "schemas.telemetry", "schemas.lifecycle")
    assert "pydantic" in found
    assert not found & (EFFECTS | HEAVY | ROOMS | {"numpy", "re2", "processors"})


def test_graders_are_standard_library_only() -> None:
    assert not loaded_by("processors.evaluation.graders") & {"pydantic", "numpy", "re2", "schemas"}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape["type"])
def test_reading_and_curating_change_no_event(shape: dict[str, Any]) -> None:
    event: Any = decode(record(shape))
    before = event.model_dump_json()
    curator = Curator("c", POLICY)
    curator._facts(event)
    for function in (score.execution_parts, extract.execution_content):
        if shape["type"] == "execution.completed":
            function(event.data)
    assert event.model_dump_json() == before


def test_sealing_changes_no_row_and_no_golden_case() -> None:
    rows = [run(n, adapter_digest="a" if n % 3 else None, user=f"u{n // 3}") for n in range(150)]
    rows += [edited(1, 1, "right"), said(2, 2, value=1.0), decided(3, 3, "reject")]
    rows += [forget(4, session="s"), run(900, id="event-5", partition=1)]
    recipe, offsets = Recipe(max_outlier_score=0.6), dict(OFFSETS)
    before = copy.deepcopy((rows, offsets, recipe))
    golden = choose_golden(rows, recipe, offsets)
    kept = copy.deepcopy(golden)
    first = seal(rows, recipe, offsets, golden)
    assert (rows, offsets, recipe) == before
    assert golden == kept
    assert seal(rows, recipe, offsets, golden) == first


def test_deciding_changes_no_column_of_the_window(tmp_path: Path) -> None:
    rows = [run(n, adapter_digest="a" if n % 3 else None) for n in range(150)]
    rows += [run(n, user=f"u{n}", content=rows[n - 150].content) for n in range(150, 170)]
    rows += [edited(1, 1, "right"), said(2, 2, value=1.0), forget(3, session="s")]
    recipe = Recipe(max_outlier_score=0.6, max_own_share=0.2, seed=1)
    case = choose_golden(rows, recipe, OFFSETS)[:1]
    window = replace(opened(held(rows), recipe, OFFSETS, tmp_path).window, golden=case)
    facts, before = window.facts, pickle.dumps((window.facts, window.sketches))
    first = decide(window, recipe)
    assert {"own_output", "exact_duplicate", "golden"} <= first.fates.counts().keys()
    assert window.facts is facts
    assert pickle.dumps((window.facts, window.sketches)) == before
    again = decide(window, recipe)
    assert again.parts.tolist() == first.parts.tolist()
    assert again.fates.reasons() == first.fates.reasons()


def test_grading_changes_no_answer() -> None:
    turns = [answer(call("f", a=[1, {"b": "2"}])), answer(call("f", a=["1", {"b": 2}]))]
    before = json.dumps(turns)
    assert tool_call(*turns)
    assert not exact(*turns)
    results = [True, False] * 60
    validate(results, results, ValidationSettings())
    assert json.dumps(turns) == before
    assert results == [True, False] * 60
