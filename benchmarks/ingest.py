"""`make bench-ingest`: Lorikeet's ingest beside others, on the same events and cores, in one run.

`--profile` writes where the whole path's time goes instead.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import profile, report
from benchmarks.bed import Bed, full_bed
from benchmarks.cores import machine, two_cores
from benchmarks.lorikeet_runs import run_lorikeet
from benchmarks.measurement import Measurement, job_of, run_client
from service.places import cache_home

HERE = Path(__file__).parent
FULL_EVENTS, FULL_RUNS = 200_000, 5
QUIX = cache_home() / "quix" / "bin" / "python"
Run = Callable[[Bed, Path], Measurement]


def contenders() -> dict[str, Run]:
    """Who is measured, in the table's order."""
    broker, consumer = two_cores()
    both = (broker, consumer)

    def client(module: str, variant: str = "", **more: Path) -> Run:
        return lambda bed, folder: run_client(
            module, job_of(bed, folder, (consumer,), variant), bed, **more
        )

    def two_workers(bed: Bed, folder: Path) -> Measurement:
        bed.pin(both)
        try:
            return run_lorikeet(bed, folder, both, workers=2)
        finally:
            bed.pin((broker,))

    return {
        "read": client("client_loop", "read"),
        "validate": client("client_loop", "validate"),
        "faust": client("faust_agent"),
        "quix": client("quix_stream", "validate", python=QUIX),
        "quix-sink": client("quix_stream", "sink", python=QUIX),
        "bare": partial(run_lorikeet, cores=(consumer,), variant="bare"),
        "whole": partial(run_lorikeet, cores=(consumer,)),
        "whole-2": two_workers,
    }


def measure(
    bed: Bed, wanted: dict[str, Run], runs: int, folder: Path, bar: Progress
) -> report.Runs:
    """All contenders in turns, so many times each."""
    task = bar.add_task("measuring", total=runs * len(wanted))
    found: dict[str, list[Measurement]] = {name: [] for name in wanted}
    for number in range(runs):
        for name, run in wanted.items():
            bar.update(task, description=f"run {number + 1}: {report.TITLES[name]}")
            mine = folder / f"{name}-{number}"
            mine.mkdir()
            found[name].append(run(bed, mine))
            shutil.rmtree(mine)
            bar.advance(task)
    return found


def main() -> None:
    """Measure and write, or profile and write."""
    options = _options()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    wanted = {n: run for n, run in contenders().items() if n in (options.only or report.TITLES)}
    if not QUIX.exists() and any(name.startswith("quix") for name in wanted):
        raise SystemExit("Quix Streams' environment is not there: run `make bench-ingest`")
    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        tempfile.TemporaryDirectory(prefix="lorikeet-bench-") as name,
        Progress(*columns, console=console) as bar,
    ):
        folder = Path(name)
        filling = bar.add_task("publishing", total=options.events)
        with full_bed(folder, options.events, partial(bar.advance, filling)) as bed:
            bed.pin(two_cores()[:1])
            if options.profile:
                page, pictures = profile.take(bed, folder, two_cores()[1])
            else:
                found = measure(bed, wanted, options.runs, folder, bar)
                page, pictures = _written(bed, found, folder)
    console.print(Markdown(page))
    full = options.events >= FULL_EVENTS and (options.profile or options.runs >= FULL_RUNS)
    if full and not options.only:
        _write("ingest-profile" if options.profile else "ingest", page, pictures)
    else:
        console.print("A quick look: benchmarks/ is written by full runs only.")


def _written(bed: Bed, found: report.Runs, folder: Path) -> tuple[str, str]:
    page = report.markdown(
        found,
        day=datetime.now(UTC).date(),
        machine=machine(folder),
        events=bed.events,
        size=bed.mean_bytes,
        personal=bed.personal,
    )
    return page, report.picture(found)


def _write(name: str, page: str, picture: str) -> None:
    (HERE / f"{name}.md").write_text(page)
    (HERE / f"{name}.svg").write_text(picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=FULL_EVENTS, help="events in the topic")
    parser.add_argument("--runs", type=int, default=FULL_RUNS, help="runs of each contender")
    parser.add_argument("--only", nargs="*", choices=list(report.TITLES), help="only these")
    parser.add_argument("--profile", action="store_true", help="where the whole path's time goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
