"""Do appends slow down as the ledger grows? `python -m benchmarks.ledger [--rows N]`.

Commits of 2,000 rows of 1.2 KB, three partitions, as quick as they go, while a second process runs the
ledger's maintenance as the control worker does. At 10⁴, 10⁵, 10⁶ and 10⁷ rows the latency of the last
commits is taken, and how long it takes to open the ledger, to claim the partitions and to read back
what was seen of them in the last minute. Writes `benchmarks/ledger.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import deltalake
import pyarrow as pa

from operations.count_ledger import CountLedger
from operations.maintain_ledger import MaintainLedger
from operations.recall_seen import recall
from operations.settings import LedgerSettings
from processors.curation.duplicates import Seen
from schemas.errors import NotReady
from schemas.records import TopicPartition
from schemas.rows import Disposition, Row
from schemas.telemetry import NoMeter
from stores.control.database import Database, sqlite_url
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.durable import LOG
from stores.ledger.files import data_files
from stores.ledger.local import LocalPlace
from stores.ledger.table import open_table

_BATCH = 2_000
_LAST = 200
_SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
_MAINTAIN_SECONDS = 5.0
"""Oftener than in production, since commits come about twenty times as fast as one a second."""
_PARTITIONS = [TopicPartition("execution.completed", number) for number in range(3)]
_START_MS = 1_772_000_000_000
_RESULT = Path(__file__).with_suffix(".md")


class Line(NamedTuple):
    """One row of the table; times in milliseconds."""

    rows: int
    p50: float
    p99: float
    files: int
    log_entries: int
    gigabytes: float
    open: float
    claim: float
    offsets: float
    seen: float


def main() -> None:
    """Fill, measure, write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=_SIZES[-1])
    parser.add_argument("--maintain", type=Path)
    options = parser.parse_args()
    if options.maintain:
        _maintain(options.maintain)
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("LORIKEET_BENCH_DIR")) as folder:
        lines = list(_measure(Path(folder), options.rows))
    _RESULT.write_text(_report(lines))
    print(_RESULT.read_text())


def _measure(folder: Path, rows: int) -> Iterator[Line]:
    place = LocalPlace(folder / "ledger")
    open_table(place)
    command = [sys.executable, "-m", "benchmarks.ledger", "--maintain", str(folder)]
    maintainer = subprocess.Popen(command)
    try:
        for line in _fill(place, rows):
            print(line, flush=True)
            yield line
    finally:
        maintainer.terminate()
        maintainer.wait(60)


def _fill(place: LocalPlace, rows: int) -> Iterator[Line]:
    writer = DeltaLedgerWriter(place, "bench")
    ends = {tp: start or 0 for tp, start in writer.claim(_PARTITIONS).items()}
    templates = _templates()
    times: list[float] = []
    done = 0
    while done < rows:
        batch = _batch(templates[done // _BATCH % len(templates)], ends)
        times.append(_timed(partial(_commit, writer, batch, ends)))
        done += _BATCH
        if done in _SIZES:
            yield _line(place, done, times[-_LAST:])


def _commit(
    writer: DeltaLedgerWriter, rows: Sequence[Row], ends: Mapping[TopicPartition, int]
) -> None:
    """What ingest does."""
    writer.append(rows, ends)
    writer.shorten_log()


def _line(place: LocalPlace, rows: int, times: list[float]) -> Line:
    reader = DeltaLedgerReader(place)
    writer = DeltaLedgerWriter(place, "bench")
    ends = {tp: start or 0 for tp, start in writer.claim(_PARTITIONS).items()}
    files = data_files(open_table(place))
    return Line(
        rows=rows,
        p50=statistics.median(times),
        p99=statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0],
        files=len(files),
        log_entries=sum(1 for _ in (place.root / LOG).iterdir()),
        gigabytes=sum(file.size for file in files) / 1e9,
        open=_median(lambda: open_table(place)),
        claim=_median(lambda: writer.claim(_PARTITIONS)),
        offsets=_median(reader.offsets),
        seen=_median(lambda: _seen(reader, ends)),
    )


def _seen(reader: DeltaLedgerReader, ends: dict[TopicPartition, int]) -> None:
    """Read back what was seen of the last minute, 60,000 rows a partition, of all partitions."""
    seen = {tp: Seen(86_400_000, 60_000) for tp in ends}
    recall(reader.recall("bench", dict.fromkeys(ends, 0)), seen, ends)


def _batch(template: list[Row], ends: dict[TopicPartition, int]) -> list[Row]:
    """The next rows of each partition in turn; `ends` is moved behind them. 1,000 rows a second each."""
    rows = []
    for number, row in enumerate(template):
        tp = _PARTITIONS[number % len(_PARTITIONS)]
        offset = ends[tp]
        rows.append(
            row._replace(
                partition=tp.partition,
                offset=offset,
                id=f"{tp.partition}-{offset}",
                timestamp=_START_MS + offset,
            )
        )
        ends[tp] += 1
    return rows


def _templates() -> list[list[Row]]:
    dice = random.Random(1)
    words = [
        "".join(dice.choices("abcdefghijklmnop", k=dice.randrange(2, 10))) for _ in range(3_000)
    ]
    row = Row(
        cluster="bench",
        topic="execution.completed",
        partition=0,
        offset=0,
        timestamp=0,
        size=1_750,
        digest="",
        disposition=Disposition.ACCEPTED,
        type="execution.completed",
        tenant="default",
        source="urn:bench",
        model="m",
        event_time=datetime(2026, 3, 1, tzinfo=UTC),
    )

    def one() -> Row:
        text = " ".join(dice.choices(words, k=190))
        return row._replace(content=text, digest=f"{dice.getrandbits(256):064x}")

    return [[one() for _ in range(_BATCH)] for _ in range(10)]


def _maintain(folder: Path) -> None:
    """The control worker's part: count and maintain until told to end."""
    place, meter = LocalPlace(folder / "ledger"), NoMeter()
    database = Database(sqlite_url(folder / "control.db"))
    count = CountLedger(database, DeltaLedgerReader(place), meter)
    maintain = MaintainLedger(place, database, count, LedgerSettings(), "bench", meter)
    while True:
        try:
            maintain(datetime.now(UTC))
        except NotReady as error:
            print(error, file=sys.stderr)
        time.sleep(_MAINTAIN_SECONDS)


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _median(work: Callable[[], object]) -> float:
    return statistics.median(_timed(work) for _ in range(3))


def _report(lines: list[Line]) -> str:
    names = [
        "rows", "append p50 ms", "append p99 ms", "data files", "log files", "GB", "open ms",
        "claim ms", "offsets ms", "last minute read back ms",
    ]  # fmt: skip
    table = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for line in lines:
        cells = [f"{v:,}" if isinstance(v, int) else f"{v:.1f}" for v in line]
        table.append("| " + " | ".join(cells) + " |")
    versions = f"deltalake {deltalake.__version__}, pyarrow {pa.__version__}"
    about = (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, {versions}."
    )
    return "\n".join(
        [
            "# Appends as the ledger grows",
            "",
            (
                f"{about} Commits of {_BATCH:,} rows of 1.2 KB, each synced, of which the last {_LAST} at"
                f" each size are counted; maintenance every {_MAINTAIN_SECONDS:.0f} s in a second process."
                " Made by `make bench-ledger`."
            ),
            "",
            *table,
            "",
        ]
    )


if __name__ == "__main__":
    main()
