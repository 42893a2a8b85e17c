"""Plots of a card: plain SVG inside the page, whose style sheet colours them (see `page`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from processors.curation.card.content import Bars, Histogram, written

WIDTH = 360
_LEFT, _RIGHT, _TOP, _PLOT = 44, 14, 30, 110
_NAME, _ROW, _LEGEND = 120, 22, 20
_LETTER = 6.0
_LINES = (0, 0.5, 1)
PARTS = 5
"""How many parts of a bar have a colour of their own; more repeat them."""


def histogram(plot: Histogram, number: int) -> str:
    """Bars between the edges. `number` makes the ids of the page's plots differ."""
    plot = plot.reached()
    edges, counts = plot.edges, plot.counts
    highest, bottom = max(counts) or 1, _TOP + _PLOT
    step = (WIDTH - _LEFT - _RIGHT) / len(counts)
    parts = [_text(0, 14, f"{plot.title} ({plot.axis})", "name")]
    for share in _LINES:
        y = bottom - _PLOT * share
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 5, y + 4, _short(round(highest * share)), "tick", "end"))
    for place, count in enumerate(counts):
        height = _PLOT * count / highest
        said = f"{written(edges[place])} to {written(edges[place + 1])}: {count:,}"
        x = _LEFT + step * place
        parts.append(_bar(x + 0.5, bottom - height, step - 1, height, 0, said))
    every = max(1, -(-len(counts) // 5))
    for place in range(0, len(edges), every):
        x = _LEFT + step * place
        parts.append(_text(x, bottom + 16, _short(edges[place]), "tick", "middle"))
    total = sum(counts)
    top = written(edges[counts.index(max(counts))])
    said = f"{total:,} in all; most of them, {max(counts):,}, from {top} up."
    return _svg(number, bottom + 24, f"Histogram: {plot.title}", said, parts)


def bars(plot: Bars, number: int) -> str:
    """One horizontal bar a name, its parts side by side, the sum at its end."""
    longest = max((sum(values) for _, values in plot.values), default=0) or 1
    room = WIDTH - _NAME - 46
    top = _TOP + _LEGEND * (len(plot.parts) > 1)
    parts = [_text(0, 14, plot.title, "name"), *_legend(plot.parts)]
    for place, (name, values) in enumerate(plot.values):
        y, x = top + place * _ROW, float(_NAME)
        parts.append(_text(_NAME - 6, y + 13, _cut(name), "tick", "end", name))
        for part, value in enumerate(values):
            if value:
                width = room * value / longest
                said = f"{name}, {plot.parts[part]}: {value:,}"
                parts.append(_bar(x, y, max(width, 1), 16, part, said))
                x += width
        parts.append(_text(x + 5, y + 13, f"{sum(values):,}", "tick"))
    said = "; ".join(f"{name}: {sum(values):,}" for name, values in plot.values)
    return _svg(number, top + len(plot.values) * _ROW + 4, plot.title, said, parts)


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = 0.0
    for part, name in enumerate(names if len(names) > 1 else ()):
        yield f'<rect class="part{part % PARTS}" x="{x:.1f}" y="{_TOP - 8}" width="10" height="10"/>'
        yield _text(x + 14, _TOP + 1, name, "tick")
        x += 14 + _LETTER * len(name) + 12


def _bar(x: float, y: float, width: float, height: float, part: int, said: str) -> str:
    return (
        f'<rect class="part{part % PARTS}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
        f' height="{height:.1f}"><title>{escape(said)}</title></rect>'
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start", whole: str = "") -> str:
    title = f"<title>{escape(whole)}</title>" if whole and whole != text else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{title}{escape(text)}</text>"
    )


def _cut(name: str) -> str:
    most = int(_NAME / _LETTER)
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _short(edge: float) -> str:
    """In thousands from 10,000 on: a tick has little room."""
    return f"{edge / 1000:,.3g} k" if edge >= 10_000 else f"{edge:g}"  # noqa: PLR2004


def _svg(number: int, height: float, title: str, said: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    ids = f"plot{number}-title plot{number}-text"
    return (
        f'<svg role="img" aria-labelledby="{ids}" viewBox="0 0 {WIDTH} {height:.0f}">\n'
        f'<title id="plot{number}-title">{escape(title)}</title>\n'
        f'<desc id="plot{number}-text">{escape(said)}</desc>\n{body}\n</svg>'
    )
