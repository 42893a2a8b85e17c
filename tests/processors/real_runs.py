"""A sample of the real runs that the curation benchmark reads, small enough for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from benchmarks.curation.runs import Run, halves, read
from schemas.digests import sha256_hex

KEPT = ("alfworld", "gsm8k", "humaneval", "math", "bash", "sql", "airline", "retail")
_TASKS = 60


@cache
def sample(data: Path) -> tuple[list[Run], list[Run]]:
    """Runs of at most 60 tasks of eight domains, one run a task and source: two halves of tasks."""
    runs = read(data)
    chosen: dict[tuple[str, str, str], tuple[Run, bool]] = {}
    for run, first in zip(runs, halves(runs), strict=True):
        if run.domain in KEPT:
            chosen.setdefault((run.domain, run.task, run.source), (run, first))
    some: dict[str, list[tuple[Run, bool]]] = {}
    for key in sorted(chosen, key=lambda key: sha256_hex("|".join(key).encode())):
        some.setdefault(key[0], []).append(chosen[key])
    kept = [pair for pairs in some.values() for pair in pairs[:_TASKS]]
    return [run for run, first in kept if first], [run for run, first in kept if not first]
