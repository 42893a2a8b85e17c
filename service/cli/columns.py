"""Which columns of a table are shown, and how wide, so that lines fit a terminal and no word is broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_GAP = 2
_READABLE = 20
"""A column of text gets so much before others are left out: prose at a word a line cannot be read."""


@dataclass(frozen=True, slots=True)
class Column:
    """Characters that a column takes: its longest word at `least`, its longest line at `most`.

    `spare`: whether it may be left out; the higher, the sooner, and 0 never.
    """

    least: int
    most: int
    spare: int = 0

    @property
    def readable(self) -> int:
        """What it should have before a spare column is shown."""
        return max(self.least, min(self.most, _READABLE))


def fitting(columns: Sequence[Column], room: int) -> dict[int, int]:
    """The places of the columns that are shown, with their widths, in a line of `room` characters.

    Spare columns go until the rest can be read. What is left of the line goes to the narrowest of those that
    need more. A line is longer than `room` only where the longest words are.
    """
    shown = dict(enumerate(columns))
    spare = sorted(
        (place for place in shown if columns[place].spare), key=lambda p: -columns[p].spare
    )
    for place in spare:
        if line([column.readable for column in shown.values()]) <= room:
            break
        del shown[place]
    widths = {place: column.least for place, column in shown.items()}
    for _ in range(room - line(list(widths.values()))):
        wanting = [place for place in shown if widths[place] < shown[place].most]
        if not wanting:
            break
        widths[min(wanting, key=lambda place: widths[place])] += 1
    return widths


def line(widths: Sequence[int]) -> int:
    """How long a line of such columns is, with the gap after each."""
    return sum(widths) + _GAP * len(widths) - 1
