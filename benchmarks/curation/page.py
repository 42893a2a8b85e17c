"""The page of the curation benchmark: one table of goals, then what each section has to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from benchmarks.curation.section import Line, Section

_MARKS = {True: "met", False: "**missed**", None: ""}


def markdown(sections: Sequence[Section], day: date, machine: Mapping[str, str]) -> str:
    """The page, as it is written to `benchmarks/curation.md`."""
    facts = "; ".join(f"{name} {value}" for name, value in machine.items())
    return "\n".join(
        [
            "# Curation and datasets",
            "",
            f"Made by `make bench-curation` on {day.isoformat()}.",
            "",
            "| what | goal | measured | |",
            "|---|--:|--:|---|",
            *(_row(line) for section in sections for line in section.lines),
            "",
            *_texts(sections),
            f"Machine: {facts}.",
            "",
        ]
    )


def missed(sections: Sequence[Section]) -> list[Line]:
    """The goals that were not reached."""
    return [line for section in sections for line in section.lines if line.met is False]


def _row(line: Line) -> str:
    return f"| {line.what} | {line.goal} | {line.measured} | {_MARKS[line.met]} |"


def _texts(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        yield from (f"## {section.title}", "", section.text.strip(), "")
