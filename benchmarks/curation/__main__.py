"""`make bench-curation`: everything that curation and the seal are measured on; writes `benchmarks/curation.md`."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from benchmarks.cores import machine
from benchmarks.curation import (
    difficulty,
    domains,
    near_duplicates,
    page,
    pii,
    quality,
    seal,
)
from benchmarks.curation.section import Section

HERE = Path(__file__).resolve().parents[1]
DATA = HERE.parents[1] / "shared" / "data"
Say = Callable[[str], None]
SECTIONS: dict[str, Callable[[Path, Say], Section]] = {
    "pii": pii.measure,
    "near-duplicates": near_duplicates.measure,
    "domains": domains.measure,
    "difficulty": difficulty.measure,
    "quality": quality.measure,
    "seal": seal.measure,
}
"""In the page's order."""


def main() -> None:
    """Measure, print, write the page after a full run; exit code 1 names the goals that were missed."""
    options = _options()
    console = Console()
    if not options.data.is_dir():
        raise SystemExit(f"{options.data} is not there: the real data sets, or --data FOLDER")
    began = datetime.now(UTC)
    found = [_measured(name, options, began, console) for name in options.only]
    with tempfile.TemporaryDirectory(prefix="lorikeet-bench-") as folder:
        text = page.markdown(found, began.date(), machine(Path(folder)))
    console.print(Markdown(text))
    if options.only == list(SECTIONS) and options.runs == seal.RUNS:
        _write(text, found)
    else:
        console.print("A part only: benchmarks/ is written by full runs only.")
    missed = page.missed(found)
    for line in missed:
        console.print(f"missed: {line.what}: {line.measured}, wanted {line.goal}", style="red")
    raise SystemExit(bool(missed))


def _measured(name: str, options: argparse.Namespace, began: datetime, console: Console) -> Section:
    def say(line: str) -> None:
        seconds = int((datetime.now(UTC) - began).total_seconds())
        console.print(f"[dim]{seconds // 60:3}:{seconds % 60:02}[/]  {line}", highlight=False)

    section = SECTIONS[name]
    if name == "seal":
        section = partial(seal.measure, runs=options.runs)
    return section(options.data, say)


def _write(text: str, sections: Sequence[Section]) -> None:
    (HERE / "curation.md").write_text(text)
    for section in sections:
        for picture in section.pictures:
            (HERE / picture.name).write_text(picture.svg)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.curation", description=__doc__)
    names = ",".join(SECTIONS)
    parser.add_argument("--only", type=_names, default=list(SECTIONS), help=f"some of {names}")
    parser.add_argument("--runs", type=int, default=seal.RUNS, help="largest ledger to seal")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real data sets")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    wanted = text.split(",")
    unknown = ", ".join(name for name in wanted if name not in SECTIONS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown}: known are {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if name in wanted]


if __name__ == "__main__":
    main()
