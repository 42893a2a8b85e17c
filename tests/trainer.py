"""Running the trainer on job folders in tests, on data of the simulated support desk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

from schemas.datasets import Split
from schemas.digests import folder_digests, manifest_digest
from schemas.jobs import JobResult, JobSpec, LoraSettings, SftSettings
from service.demo.world import Desk, Task, mix_up
from stores.artifacts.objects import ObjectFolder
from stores.datasets.store import DatasetStore
from tests.processes import ROOT
from tests.shards import example, write

LINEARS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SFT = SftSettings(
    lora=LoraSettings(rank=16, alpha=32, dropout=0.0, target_modules=LINEARS),
    learning_rate=5e-3,
    batch_size=8,
    epochs=8,
    max_length=256,
)


def tasks(seed: int, count: int) -> list[Task]:
    """Requests of the changed desk."""
    desk, random = Desk(2), Random(f"test/{seed}")
    return [desk.task(random) for _ in range(count)]


def seal(folder: Path, found: list[Task], *, wrong: bool = False, weight: float = 1.0) -> None:
    """A sealed dataset of solved (or mixed-up) requests, in a job folder's `dataset/`."""
    desk = Desk(2)
    examples = [
        example(
            number,
            Split.TRAIN if number % 10 else Split.VALIDATION,
            weight=weight,
            messages=(
                {"role": "user", "content": task.prompt},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": mix_up(desk.calls(task.goal)) if wrong else desk.calls(task.goal),
                },
            ),
            tools=tuple(desk.definitions()),
        )
        for number, task in enumerate(found)
    ]
    store = DatasetStore(ObjectFolder(f"file://{folder / 'store'}"))
    write(store, "test", examples)
    store.fetch("test", folder / "dataset")


def spec(kind: Any, base: Path, **changes: Any) -> JobSpec:
    """A job's spec on a base model."""
    values: dict[str, Any] = {
        "job_id": f"test-{kind}",
        "kind": kind,
        "base": str(base),
        "base_digest": manifest_digest(folder_digests(base)),
        "sft": SFT,
        "max_new_tokens": 96,
    }
    return JobSpec(**{**values, **changes})


def stage(folder: Path, job: JobSpec, **lines: list[dict[str, Any]]) -> Path:
    """Write a job folder with JSON-lines inputs (name without its ending)."""
    (folder / "dataset").mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(job.model_dump_json())
    for name, rows in lines.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "dataset" / f"{name}.jsonl").write_text(text)
    return folder


def train(folder: Path, epoch: int = 1) -> JobResult:
    """Run `python -m training` on a folder; its result, also if it failed."""
    subprocess.run(
        [sys.executable, "-m", "training", str(folder), "--epoch", str(epoch)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    return JobResult.model_validate_json((folder / "result.json").read_bytes())


def attempt(folder: Path, epoch: int = 1) -> Path:
    """An attempt's files."""
    return folder / "attempts" / str(epoch)


def progress(folder: Path) -> list[dict[str, Any]]:
    """The steps that were reported."""
    lines = (attempt(folder) / "progress.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
