"""What a card is made of, whatever it is written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None
_SCORE = 100


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; a table without rows is not shown."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Code:
    """A text to be copied."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between edges; `counts` is one shorter."""

    title: str
    axis: str
    edges: Sequence[float]
    counts: Sequence[int]

    def reached(self) -> Histogram:
        """Up to the last edge that is reached, where edges grow without end."""
        if self.edges[-1] <= _SCORE:
            return self
        last = max((place for place, count in enumerate(self.counts) if count), default=0) + 1
        return Histogram(self.title, self.axis, self.edges[: last + 1], self.counts[:last])


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar a name, each of parts in the order of `parts` (one part: a plain bar)."""

    title: str
    parts: Sequence[str]
    values: Sequence[tuple[str, Sequence[int]]]


Block = str | Table | Code | Histogram | Bars


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; a section without blocks is not shown."""

    title: str
    blocks: Sequence[Block]


def written(cell: Cell) -> str:
    """A cell as text: thousands apart, four significant digits, a dash for what is not known."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def is_number(cells: Sequence[Cell]) -> bool:
    """Whether a column stands to the right: numbers, shares and dashes."""
    return all(not isinstance(cell, str) or cell.endswith(" %") for cell in cells)


def percent(share: float) -> str:
    """0.1234 as 12.3 %; a minus is a minus."""
    return f"{100 * share:.1f} %".replace("-", "\N{MINUS SIGN}")
