"""The demonstration's base model: made on the spot, and kept in the cache for the next time."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

from launchers.local import LocalLauncher
from schemas.digests import digest_of
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobResult, JobSpec, TinySettings
from service.demo.world import FRAME_TOKENS, corpus
from service.places import cache_home

_CORPUS = 6_000
Progress = Callable[[dict[str, Any]], None]


def cached_base(seed: int) -> Path:
    """Where the base model of a seed lies, made or not."""
    made_by = {name: version(name) for name in ("torch", "transformers", "tokenizers")}
    settings = _spec(seed).tiny.model_dump(mode="json")
    key = digest_of({"seed": seed, "settings": settings, "corpus": _CORPUS, "made_by": made_by})
    return cache_home() / "models" / f"support-desk-{key[:12]}"


def make_base(seed: int, folder: Path, progress: Progress) -> Path:
    """Pre-train the tiny model in a process of its own; `progress` gets each reported step.

    Raises Unrecoverable(TRAINING_FAILED).
    """
    target = cached_base(seed)
    if (target / "config.json").exists():
        return target
    (folder / "dataset").mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(_spec(seed).model_dump_json())
    with (folder / "dataset" / "corpus.jsonl").open("w") as handle:
        for example in corpus(Random(f"{seed}/corpus"), _CORPUS):
            handle.write(json.dumps(example) + "\n")
    run = LocalLauncher(threads=1).launch(folder, 1)
    try:
        while run.running():
            progress(_latest(folder / "attempts" / "1" / "progress.jsonl"))
            time.sleep(0.2)
    finally:
        run.cancel()
    result = folder / "result.json"
    if not result.exists() or not JobResult.model_validate_json(result.read_bytes()).ok:
        raise Unrecoverable(Code.TRAINING_FAILED, run.log()[-300:])
    _publish(folder / "attempts" / "1" / "base", target)
    return target


def _spec(seed: int) -> JobSpec:
    return JobSpec(
        job_id="base",
        kind="make_base",
        seed=seed,
        tiny=TinySettings(frame_tokens=FRAME_TOKENS),
    )


def _latest(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    try:
        return dict(json.loads(lines[-1])) if lines else {}
    except ValueError:
        return {}


def _publish(made: Path, target: Path) -> None:
    """Whole or not at all: copied beside, then renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(made, draft)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
