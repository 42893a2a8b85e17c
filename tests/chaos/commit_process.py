"""A ledger's writer and maintainer in bare processes, killed after each of their steps.

`python -m tests.chaos.commit_process FOLDER KILLS [STEP]` prints one JSON object a step. Importing
deltalake and pyarrow takes half a second, so this process imports them and forks one child a kill.
delta-rs works in a forked child only if its parent has never used it: this one only forks and counts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.dataset  # noqa: F401 - imported before the fork, not after each
from deltalake import DeltaTable

from schemas.records import TopicPartition
from stores.control import counters
from stores.ledger import durable, log
from stores.ledger.compaction import COMPACT_STEPS, compact
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.local import LocalPlace
from stores.ledger.place import Fault, no_fault
from stores.ledger.retirement import RETIRE_STEPS, Retirement, days_before
from stores.ledger.vacuum import VACUUM_STEPS, checkpoint, trim_log, vacuum
from stores.ledger.writer import COMMIT_STEPS
from tests.support import row

STEPS = {
    "commit": COMMIT_STEPS,
    "compact": COMPACT_STEPS,
    "retire": RETIRE_STEPS,
    "vacuum": VACUUM_STEPS,
}
"""Work → its numbered steps: where the process can be killed."""
TORN = {
    "empty entry": b"",
    "torn entry": b'{"commitInfo": {"tim',
    "half entry": b'{"txn":{}}\n{"ad',
    "torn checkpoint": b"PAR1\x15\x04",
}
"""What a power cut leaves of the last log entry or of a checkpoint."""
PARTITIONS = [TopicPartition("execution.completed", 0), TopicPartition("execution.completed", 1)]
_ACKNOWLEDGED = "acknowledged.json"
_BATCH = 3
_RUNS_A_DAY = 10
_TODAY = date(2026, 3, 1)


def main() -> None:
    """Kill each step so many times, then let a last process verify."""
    root, kills, only = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for work, step in targets():
        if only and f"{work}/{step}" not in only:
            continue
        folder = root / work.replace(" ", "-") / step
        folder.mkdir(parents=True)
        hit = sum(_killed(partial(run, folder, work, step, n)) for n in range(kills))
        report = folder / "report.json"
        assert not _killed(lambda: report.write_text(json.dumps(verify(folder))))
        found = {"step": f"{work}/{step}", "kills": kills, "hit": hit}
        print(json.dumps({**found, **json.loads(report.read_text())}), flush=True)


def targets() -> list[tuple[str, str]]:
    """(work, step) of every place where the process can be killed."""
    steps = [(work, step) for work, names in STEPS.items() for step in names]
    return [*steps, *((name, "written") for name in TORN)]


def _killed(work: Callable[[], Any]) -> bool:
    """Whether a child that does some work was killed. Raises if it failed on its own."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a child may not return into its parent's loop
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the child failed by itself")
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def run(folder: Path, work: str, step: str, number: int) -> None:
    """Go on after whoever was killed before, then work until killed. A few runs a day of ingest."""
    today = _TODAY + timedelta(days=number // _RUNS_A_DAY)
    place, fault = LocalPlace(folder), partial(_kill_after, step)
    _append(folder, today)
    if work in TORN:
        _tear(folder, work)
        _kill_after(step, step)
    _append(folder, today, fault if work == "commit" else no_fault)
    if work == "compact":
        compact(place, 2, closed=today.isoformat(), fault=fault)
    elif work == "retire":
        for day in days_before(place, (today + timedelta(days=1)).isoformat()):
            dropped = Retirement(place, day, fault)
            dropped.drop(counters.frozen(counters.tally(dropped.rows(counters.COLUMNS))))
    elif work == "vacuum":
        compact(place, 2, closed=today.isoformat())
        checkpoint(place, 1, fault)
        trim_log(place, sys.maxsize, fault, keep=1)
        vacuum(place, fault, keep_seconds=-1)


def _tear(folder: Path, what: str) -> None:
    table = DeltaTable(folder)
    path = durable.entry(folder, table.version() + 1)
    if what == "torn checkpoint":
        table.create_checkpoint()
        path = folder / log.checkpoint_names(table.version())[0]
    path.write_bytes(TORN[what])


def verify(folder: Path) -> dict[str, int]:
    """What a new process finds: rows missing, doubled, never acknowledged, lost, there, dropped."""
    _append(folder, _TODAY)
    snapshot = DeltaLedgerReader(folder).snapshot(["offset", *counters.COLUMNS])
    places = Counter((row["partition"], row["offset"]) for row in snapshot.rows)
    dropped: Counter[int] = Counter()
    for table in snapshot.retired:
        for (_, partition, _), count in counters.thawed(table).dispositions.items():
            dropped[partition] += count
    ends = {int(key.rsplit(":", 1)[1]): end for key, end in snapshot.offsets.items()}
    held = Counter(partition for partition, _ in places)
    acknowledged = json.loads((folder / _ACKNOWLEDGED).read_text())
    return {
        "missing": sum(abs(end - held[p] - dropped[p]) for p, end in ends.items()),
        "doubled": sum(places.values()) - len(places),
        "lost": sum(max(0, end - ends[int(p)]) for p, end in acknowledged.items()),
        "rows": len(places),
        "dropped": sum(dropped.values()),
    }


def _append(folder: Path, today: date, fault: Fault = no_fault) -> None:
    """Claim both partitions, append the next rows, note what was acknowledged."""
    writer = DeltaLedgerWriter(folder, "c", today=lambda: today, fault=fault)
    claimed = writer.claim(PARTITIONS)
    ends = {tp: (claimed[tp] or 0) + _BATCH for tp in PARTITIONS}
    rows = [
        row(offset, partition=tp.partition)
        for tp, end in ends.items()
        for offset in range(end - _BATCH, end)
    ]
    writer.append(rows, ends)
    noted = folder / f"{_ACKNOWLEDGED}.new"
    noted.write_text(json.dumps({tp.partition: end for tp, end in ends.items()}))
    noted.rename(folder / _ACKNOWLEDGED)


def _kill_after(wanted: str, step: str) -> None:
    if step == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
