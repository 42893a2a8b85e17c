"""SIGKILL after each numbered step of a commit, a compaction, a retention and a vacuum: nothing is
missing, nothing is doubled, nothing acknowledged is lost, and the table opens.

A few kills a step here; `make chaos-commit` does a hundred of each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stores.control import counters
from stores.ledger.compaction import COMPACT_STEPS, compact
from stores.ledger.delta import DeltaLedgerWriter
from stores.ledger.local import LocalPlace
from stores.ledger.retirement import RETIRE_STEPS, Retirement
from stores.ledger.vacuum import VACUUM_STEPS, checkpoint, trim_log, vacuum
from stores.ledger.writer import COMMIT_STEPS
from tests.chaos.commit_process import PARTITIONS, TORN, targets
from tests.processes import ROOT
from tests.support import row

KILLS = int(os.environ.get("LORIKEET_KILLS", "3"))


def _kill_all(folder: Path) -> list[dict[str, Any]]:
    """Two processes share the places to kill at, since fsync is what takes the time."""
    names = [f"{work}/{step}" for work, step in targets()]
    command = [sys.executable, "-m", "tests.chaos.commit_process", str(folder), str(KILLS)]
    halves = [
        subprocess.Popen([*command, *half], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for half in (names[::2], names[1::2])
    ]
    found = [json.loads(line) for half in halves for line in half.communicate()[0].splitlines()]
    assert [half.returncode for half in halves] == [0, 0]
    return found


@pytest.mark.timeout(1_800)
def test_killed_after_each_step_it_goes_on(tmp_path: Path) -> None:
    found = _kill_all(tmp_path)
    names = ("step", "kills", "hit", "missing", "doubled", "lost", "rows", "dropped")
    print()
    print("".join(f"{name:>12}" if n else f"{name:<26}" for n, name in enumerate(names)))
    for line in sorted(found, key=lambda line: str(line["step"])):
        values = [line[name] for name in names]
        print("".join(f"{v:>12}" if n else f"{v:<26}" for n, v in enumerate(values)))
    assert {line["step"] for line in found} == {f"{work}/{step}" for work, step in targets()}
    assert all(line["hit"] == KILLS for line in found), "a kill counts only if it hit"
    assert all(line["missing"] == line["doubled"] == line["lost"] == 0 for line in found)
    assert all(line["rows"] + line["dropped"] >= KILLS * 6 for line in found), (
        "it went on each time"
    )


def test_the_places_to_kill_at_are_the_numbered_steps(tmp_path: Path) -> None:
    """Each step is announced, in order, and no other is."""
    seen: list[str] = []
    writer = DeltaLedgerWriter(tmp_path, "c", fault=seen.append)
    tp = PARTITIONS[0]
    writer.claim([tp])
    for offset in range(3):
        seen.clear()
        writer.append([row(offset)], {tp: offset + 1})
        assert tuple(seen) == COMMIT_STEPS
    place = LocalPlace(tmp_path)
    seen.clear()
    assert compact(place, 2, closed="", fault=seen.append) == 3
    assert tuple(seen) == COMPACT_STEPS
    seen.clear()
    checkpoint(place, 1, seen.append)
    trim_log(place, 99, seen.append, keep=0)
    vacuum(place, seen.append, keep_seconds=-1)
    assert tuple(dict.fromkeys(seen)) == VACUUM_STEPS
    seen.clear()
    day = next(path.name for path in tmp_path.glob("day=*")).removeprefix("day=")
    Retirement(place, day, seen.append).drop(counters.frozen(counters.Tally()))
    assert tuple(seen) == RETIRE_STEPS
    steps = {(work, step) for work, step in targets() if work not in TORN}
    assert {step for _, step in steps} == {
        *COMMIT_STEPS, *COMPACT_STEPS, *VACUUM_STEPS, *RETIRE_STEPS,
    }  # fmt: skip
