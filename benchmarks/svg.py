"""Pictures of figures: horizontal bars, and lines over time. Plain SVG, no library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _BAR, _LABELS, _TOP = 900, 26, 300, 44
_PLOT = 150
_COLOURS = ("#2563eb", "#d97706", "#059669", "#7c3aed")
_FEW = 20
Point = tuple[float, float]


class Axis(NamedTuple):
    """What is written below a plot: (place, text) from 0 on, and the unit."""

    ticks: Sequence[tuple[float, str]]
    unit: str


def bars(title: str, unit: str, values: Sequence[tuple[str, float]], ours: str) -> str:
    """One bar a value; those whose name begins with `ours` stand out."""
    longest = max(value for _, value in values)
    parts = [_text(12, 22, f"{title}, {unit}")]
    for place, (name, value) in enumerate(values):
        y = _TOP + place * _BAR
        width = (_WIDTH - _LABELS - 90) * value / longest
        colour = _COLOURS[0] if name.startswith(ours) else "#9ca3af"
        parts.append(_text(_LABELS - 8, y + 14, name, "end"))
        parts.append(
            f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="18" fill="{colour}"/>'
        )
        parts.append(_text(_LABELS + width + 6, y + 14, f"{value:,.0f}"))
    return _page(parts, _TOP + len(values) * _BAR + 8)


def lines(
    plots: Sequence[tuple[str, Sequence[tuple[str, Sequence[Point]]]]], axis: Axis | None = None
) -> str:
    """Plots below each other: title and named series of points, from 0 upwards.

    Without an `axis` they lie over seconds, named in minutes.
    """
    parts: list[str] = []
    for place, (title, series) in enumerate(plots):
        parts += _plot(_TOP + place * (_PLOT + 60), title, series, axis)
    return _page(parts, len(plots) * (_PLOT + 60) + 24)


def _minutes(last: float) -> Axis:
    step = max(1, int(last) // 600)
    return Axis([(60 * m, f"{m}") for m in range(0, int(last) // 60 + 1, step)], "minutes")


def _plot(
    top: int, title: str, series: Sequence[tuple[str, Sequence[Point]]], axis: Axis | None
) -> list[str]:
    points = [point for _, mine in series for point in mine] or [(0.0, 0.0)]
    last, highest = max(x for x, _ in points) or 1.0, max(y for _, y in points) * 1.1 or 1.0
    parts = [_text(56, top - 16, title)]
    for quarter in range(5):
        y = top + _PLOT * (1 - quarter / 4)
        parts.append(_line([(56, y), (_WIDTH - 16, y)], "#e5e7eb"))
        parts.append(_text(48, y + 4, f"{highest * quarter / 4:.3g}", "end"))
    named = axis or _minutes(last)
    for x, text in named.ticks:
        anchor = "end" if x == last else "middle" if x else "start"
        parts.append(_text(56 + (_WIDTH - 72) * x / last, top + _PLOT + 18, text, anchor))
    parts.append(_text(_WIDTH - 16, top + _PLOT + 32, named.unit, "end"))
    for number, (name, mine) in enumerate(series):
        scaled = [(56 + (_WIDTH - 72) * x / last, top + _PLOT * (1 - y / highest)) for x, y in mine]
        parts.append(_line(scaled, _COLOURS[number]))
        parts += [_dot(*point, _COLOURS[number]) for point in scaled if len(scaled) <= _FEW]
        parts.append(_text(400 + 150 * number, top - 16, f"● {name}", fill=_COLOURS[number]))
    return parts


def _line(points: Sequence[Point], colour: str) -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", fill: str = "#374151") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
    )


def _page(parts: Sequence[str], height: float) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
