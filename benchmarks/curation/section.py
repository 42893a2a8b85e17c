"""What a part of the curation benchmark has to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """One goal: what was measured, and whether that meets it (None: there is no goal)."""

    what: str
    goal: str
    measured: str
    met: bool | None


class Section(NamedTuple):
    """A part of the page: its table, and Markdown below the table."""

    title: str
    lines: Sequence[Line]
    text: str
