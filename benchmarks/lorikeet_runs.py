"""Running Lorikeet's ingest as measured processes: one or several in one group."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.bed import PREFIX, Bed
from benchmarks.job import Job
from benchmarks.measurement import Measurement, job_of
from service.broker import free_port
from service.settings import load
from stores.ledger.delta import DeltaLedgerReader
from tests.processes import ROOT, write_config

_SILENCE_SECONDS = 180.0
_PACKAGES = ("aiokafka", "pydantic", "deltalake", "pyarrow")


@dataclass(frozen=True, slots=True)
class _Word:
    """A line of a worker: partitions assigned, or rows of a commit that has returned."""

    worker: int
    at: float
    cpu: float
    rows: int = 0
    assigned: int = 0


def run_lorikeet(
    bed: Bed,
    folder: Path,
    cores: tuple[int, ...],
    *,
    workers: int = 1,
    variant: str = "",
    profiler: Sequence[str] = (),
) -> Measurement:
    """Ingest the whole topic into a new ledger. Ends the program if a row is missing or doubled.

    `profiler` is put before the process's own command.
    """
    group = f"{PREFIX}{uuid.uuid4().hex[:8]}"
    words: queue.Queue[_Word | None] = queue.Queue()
    children = [
        _start(job_of(bed, _settled(bed, folder, number, group), cores, variant), profiler)
        for number in range(workers)
    ]
    for number, child in enumerate(children):
        threading.Thread(target=_relay, args=(child, number, words), daemon=True).start()
    try:
        heard = _listen(words, bed.events, folder)
    finally:
        for child in children:
            _end(child)
    _require_every_row(bed, folder / "data" / "ledger", redacted=variant != "bare")
    return _measured(heard, workers, _configuration(folder, workers, variant))


def _settled(bed: Bed, folder: Path, number: int, group: str) -> Path:
    """A worker's folder with its settings; all workers share one installation and one group."""
    mine = folder / f"worker-{number}"
    mine.mkdir(parents=True)
    write_config(
        mine,
        bed.broker.bootstrap,
        data=str(folder / "data"),
        kafka={"prefix": PREFIX},
        ingest={"group": group},
        metrics={"ingest": free_port()},
    )
    return mine


def _start(job: Job, profiler: Sequence[str]) -> subprocess.Popen[str]:
    with (Path(job.folder) / "ingest.log").open("w") as log:
        return subprocess.Popen(
            [*profiler, sys.executable, "-m", "benchmarks.lorikeet_path", job.text()],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
        )


def _end(child: subprocess.Popen[str]) -> None:
    """End ingest; a profiler then writes what it has seen, and ends too."""
    below = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    for process in map(int, below or [str(child.pid)]):
        os.kill(process, signal.SIGTERM)
    child.wait(60)


def _relay(child: subprocess.Popen[str], number: int, words: queue.Queue[_Word | None]) -> None:
    for line in child.stdout or ():
        if line.startswith('{"at"'):
            words.put(_Word(number, **json.loads(line)))
    words.put(None)


def _listen(words: queue.Queue[_Word | None], total: int, folder: Path) -> list[_Word]:
    """Everything said until all rows are committed."""
    heard: list[_Word] = []
    while sum(word.rows for word in heard) < total:
        try:
            word = words.get(timeout=_SILENCE_SECONDS)
        except queue.Empty:
            word = None
        if word is None:
            raise SystemExit(f"ingest ended or fell silent; its logs are below {folder}")
        heard.append(word)
    return heard


def _measured(heard: Sequence[_Word], workers: int, configuration: str) -> Measurement:
    """From the first assignment under which all workers have partitions to the last commit."""
    settled = [
        word
        for word in heard
        if word.assigned
        and len({w.worker for w in heard if w.assigned and w.at <= word.at}) == workers
    ]
    if not settled:
        raise SystemExit("the topic was read before all workers had partitions: give more --events")
    began = settled[0].at if workers == 1 else max(word.at for word in settled)
    after = [word for word in heard if word.rows and word.at > began]
    cpu = 0.0
    for number in range(workers):
        mine = [word.cpu for word in heard if word.worker == number]
        cpu += mine[-1] - mine[0]
    return Measurement(
        rows=sum(word.rows for word in after),
        seconds=after[-1].at - began,
        cpu_micros=1e6 * cpu / sum(word.rows for word in heard),
        configuration=configuration,
        versions={name: version(name) for name in _PACKAGES},
    )


def _configuration(folder: Path, workers: int, variant: str) -> str:
    ingest = load(folder / "worker-0" / "lorikeet.yaml").ingest
    said = {k: v for k, v in ingest.model_dump().items() if k.startswith(("flush", "poll"))}
    settings = ", ".join(f"{name} {value}" for name, value in said.items())
    left_out = "; redaction left out" if variant == "bare" else ""
    return f"{workers} process{'es' if workers > 1 else ''}, {settings}, fsync{left_out}"


def _require_every_row(bed: Bed, ledger: Path, *, redacted: bool) -> None:
    table = DeltaLedgerReader(ledger).table(["partition", "offset", "id", "pii"])
    places = set(zip(table["partition"].to_pylist(), table["offset"].to_pylist(), strict=True))
    if sorted(table["id"].to_pylist()) != bed.ids or len(places) != bed.events:
        raise SystemExit(f"the ledger holds {table.num_rows} rows of {bed.events} events")
    found = table.num_rows - table["pii"].null_count
    if redacted and found < bed.personal:
        raise SystemExit(f"personal data found in {found} events, {bed.personal} carry some")
