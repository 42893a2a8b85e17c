"""A dataset and an adapter from plans alone: no conversation, no tool, no user in sight."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from operations.seal_dataset import SealDataset
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.datasets import Manifest, Recipe, Split
from schemas.jobs import JobSpec, TinySettings
from schemas.records import TopicPartition
from schemas.rows import Row
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerWriter
from tests import trainer
from tests.imports.real_plans import MODEL, events
from tests.installation import database
from tests.leaks import FACTS, leaks
from tests.support import record

PLANS = TopicPartition("planning.completed", 0)
RECIPE = Recipe(near_duplicate=0.95, golden_size=20, max_outlier_score=1.0)
"""Goals of one domain differ in few words."""
LENGTH = 320


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[Row]:
    policy = CurationPolicy(
        hmac_key=b"k",
        trust={"urn:realdata:planbench": "verified", "urn:realdata:worfbench": "verified"},
    )
    curator = Curator("c", policy)
    found = enumerate(events(shared_data))
    return [
        curator.row(record(event, topic=PLANS.topic, partition=0, offset=n)) for n, event in found
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="module")
def store(folder: Path) -> DatasetStore:
    return DatasetStore(ObjectFolder(f"file://{folder / 'objects'}"))


@pytest.fixture(scope="module")
def sealed(rows: Sequence[Row], folder: Path, store: DatasetStore) -> Manifest:
    writer = DeltaLedgerWriter(folder / "ledger", "c")
    writer.claim([PLANS])
    writer.append(rows, {PLANS: len(rows)})
    seal = SealDataset(database(folder), folder / "ledger", store, NoMeter())
    return seal("default", MODEL, RECIPE, {"c:planning.completed:0": len(rows)}, datetime.now(UTC))


def test_right_plans_become_examples_and_wrong_ones_do_not(
    rows: Sequence[Row], sealed: Manifest, store: DatasetStore
) -> None:
    examples = list(store.examples(sealed.digest))
    known = {row.row_id: row for row in rows}
    assert len(rows) > 500
    assert Counter(e.domain for e in examples).keys() == {"blocksworld", "household"}
    assert all(known[e.row_id].valid is not False for e in examples)
    assert sealed.dropped["ingest_rejected"] == sum(row.valid is False for row in rows)
    assert {e.task_type for e in examples} == {"plan"}
    assert all("steps" in json.loads(e.messages[-1]["content"]) for e in examples)
    assert {e.split for e in examples} == set(Split)
    assert all(e.level for e in examples)


def test_a_right_plan_is_preferred_to_a_wrong_one_for_the_same_goal(
    rows: Sequence[Row], sealed: Manifest, store: DatasetStore
) -> None:
    known = {row.row_id: row for row in rows}
    pairs = list(store.pairs(sealed.digest))
    assert len(pairs) >= 20
    for pair in pairs:
        better, worse = known[pair.chosen_row], known[pair.rejected_row]
        assert (better.valid, worse.valid) == (True, False)
        assert better.prompt_digest == worse.prompt_digest


def test_nothing_leaks(sealed: Manifest, store: DatasetStore) -> None:
    columns = [
        {"split": str(e.split), **{name: getattr(e, name) for name in FACTS}}
        for e in store.examples(sealed.digest)
    ]
    assert not leaks(columns)


def test_the_first_golden_set_is_kept_out(sealed: Manifest, store: DatasetStore) -> None:
    cases = store.golden(sealed.golden or "")
    assert len(cases) == RECIPE.golden_size
    assert not {c.case_id for c in cases} & {e.row_id for e in store.examples(sealed.digest)}


def test_an_adapter_is_trained_on_them(folder: Path, sealed: Manifest, store: DatasetStore) -> None:
    corpus = [{"messages": list(e.messages)} for e in store.examples(sealed.digest)][:100]
    tiny = TinySettings(hidden=32, heads=2, vocabulary=600, steps=20, max_positions=LENGTH)
    job = JobSpec(job_id="base", kind="make_base", tiny=tiny, max_new_tokens=16)
    made = trainer.stage(folder / "base", job, corpus=corpus)
    assert trainer.train(made).ok
    base = made / "attempts" / "1" / "base"
    sft = trainer.SFT.model_copy(update={"max_steps": 10, "max_length": LENGTH})
    spec = trainer.spec("train", base, sft=sft, max_new_tokens=16)
    staged = trainer.stage(folder / "train", spec)
    store.fetch(sealed.digest, staged / "dataset")
    result = trainer.train(staged)
    assert result.ok, result.error
    losses = [
        json.loads(line)["loss"]
        for line in (staged / "attempts" / "1" / "progress.jsonl").read_text().splitlines()
        if "loss" in json.loads(line)
    ]
    assert losses[-1] < losses[0]
    assert (staged / "attempts" / "1" / "adapter" / "adapter_model.safetensors").exists()
