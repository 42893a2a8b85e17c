"""A flame graph as plain SVG: width is time, height is depth; the pointer shows a frame's name."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape

_WIDTH, _ROW, _TOP = 1200, 17, 34
_LEAST = 0.5
_LETTER = 6.4


def graph(stacks: Mapping[tuple[str, ...], int]) -> str:
    """The graph of samples by stack, outermost frame first."""
    total = sum(stacks.values())
    boxes = list(_boxes(stacks, _WIDTH / total, 0.0, 0))
    depth = 1 + max(level for _, level, _, _ in boxes)
    height = _TOP + depth * _ROW + 8
    drawn = "\n".join(
        _box(name, x, _TOP + level * _ROW, width, share=width / _WIDTH)
        for name, level, x, width in boxes
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="monospace" font-size="11">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="8" y="20">{total:,} samples; callers above, called below</text>\n{drawn}\n</svg>\n'
    )


def _boxes(
    stacks: Mapping[tuple[str, ...], int], scale: float, x: float, level: int
) -> Iterator[tuple[str, int, float, float]]:
    """(name, level, x, width) of every frame wide enough to be seen."""
    below: dict[str, Counter[tuple[str, ...]]] = {}
    for (name, *rest), samples in stacks.items():
        below.setdefault(name, Counter())[tuple(rest)] += samples
    for name in sorted(below):
        width = below[name].total() * scale
        if width >= _LEAST:
            yield name, level, x, width
            deeper = {stack: samples for stack, samples in below[name].items() if stack}
            yield from _boxes(deeper, scale, x, level + 1)
        x += width


def _box(name: str, x: float, y: float, width: float, *, share: float) -> str:
    shown = name[: int(width / _LETTER)] if width > 4 * _LETTER else ""
    shade = zlib.crc32(name.encode()) % 60
    label = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown)}</text>' if shown else ""
    return (
        f'<g><title>{escape(name)} {share:.1%}</title><rect x="{x:.1f}" y="{y}" '
        f'width="{width:.1f}" height="{_ROW - 1}" fill="rgb(240,{150 + shade},{70 + shade})"/>{label}</g>'
    )
