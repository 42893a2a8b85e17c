"""What a part of the curation benchmark hands back: its lines of the table, and the text below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """One line of the table; `met` is None where there is no goal but to report."""

    what: str
    goal: str
    measured: str
    met: bool | None


class Picture(NamedTuple):
    """An SVG that the text shows; `name` is the file that it names."""

    name: str
    svg: str


class Section(NamedTuple):
    """One part. `text` is Markdown: intervals, counts, how it was split and tuned, versions."""

    title: str
    lines: Sequence[Line]
    text: str
    pictures: Sequence[Picture] = ()
