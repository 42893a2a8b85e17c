"""The demonstration as a picture: success over time, and what Lorikeet decided when."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from itertools import pairwise

from schemas import lifecycle
from service.demo.report import Event, Run, converged_at

_WIDTH, _HEIGHT = 900, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 84, 44
_WINDOW = 40
_GAP = 5.0
_TRAINING = 15.0
_LINE = 'stroke-width="2" stroke-linejoin="round"'
_SERIES = {
    "stable": ("#2563eb", "stable and baseline arm"),
    "candidate": ("#d97706", "candidate arm"),
}
_MARKS = {
    lifecycle.CANDIDATE: "candidate",
    lifecycle.PROMOTED: "promoted",
    lifecycle.ROLLED_BACK: "rolled back",
}
Point = tuple[datetime, float]


def plot(runs: Sequence[Run], events: Sequence[Event]) -> str:
    """An SVG: the success of the last 40 runs of each arm, and the lifecycle events.

    `runs` and `events` are in order of time; there is at least one run.
    """
    canvas = _Canvas(runs[0].at, runs[-1].at)
    canvas.axes()
    for arm, (colour, name) in _SERIES.items():
        mine = [run for run in runs if (run.arm == "candidate") == (arm == "candidate")]
        canvas.line(rolling(mine), colour, name)
    for before, after in pairwise(runs):
        if (after.at - before.at).total_seconds() > _TRAINING:
            canvas.note(before.at + (after.at - before.at) / 2, "training")
    drift = next((run.at for run in runs if run.tools != runs[0].tools), None)
    if drift is not None:
        canvas.mark(drift, "the world changes")
    for event in events:
        if event["type"] in _MARKS:
            data = event["data"]
            at = converged_at(events, data["decision_id"]) or datetime.fromisoformat(
                data["decided_at"]
            )
            version = (data.get("from") or data)["version"]
            canvas.mark(at, f"{version} {_MARKS[event['type']]}")
    return canvas.svg()


def rolling(runs: Iterable[Run], window: int = _WINDOW) -> list[Point]:
    """The share of successes among the last runs by the same weights, once half a window is there."""
    last: deque[bool] = deque(maxlen=window)
    weights = None
    points = []
    for run in runs:
        if run.adapter != weights:
            last.clear()
            weights = run.adapter
        last.append(run.success)
        if len(last) >= window // 2:
            points.append((run.at, sum(last) / len(last)))
    return points


class _Canvas:
    def __init__(self, first: datetime, last: datetime) -> None:
        self._first = first
        self._seconds = max((last - first).total_seconds(), 1.0)
        self._parts: list[str] = []
        self._named = 0
        self._marked = 0

    def _x(self, seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / self._seconds

    def _y(self, share: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)

    def _text(
        self, x: float, y: float, text: str, anchor: str = "start", fill: str = "#374151"
    ) -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
        )

    def _stroke(self, points: str, colour: str, extra: str = "") -> None:
        self._parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" {extra}/>')

    def axes(self) -> None:
        for percent in range(0, 101, 25):
            y = self._y(percent / 100)
            self._stroke(f"{_LEFT},{y:.1f} {_WIDTH - _RIGHT},{y:.1f}", "#e5e7eb")
            self._text(_LEFT - 8, y + 4, f"{percent} %", "end")
        for second in range(0, int(self._seconds) + 1, 20):
            self._text(self._x(second), _HEIGHT - _BOTTOM + 18, str(second), "middle")
        self._text(_WIDTH - _RIGHT, _HEIGHT - 8, "seconds", "end")
        self._text(_LEFT, 18, f"Success, last {_WINDOW} runs")

    def line(self, points: Sequence[Point], colour: str, name: str) -> None:
        self._text(_LEFT + 260 + 220 * self._named, 18, f"● {name}", fill=colour)
        self._named += 1
        run: list[str] = []
        before: datetime | None = None
        for at, share in points:
            if before is not None and (at - before).total_seconds() > _GAP:
                self._stroke(" ".join(run), colour, _LINE)
                run = []
            run.append(f"{self._x((at - self._first).total_seconds()):.1f},{self._y(share):.1f}")
            before = at
        self._stroke(" ".join(run), colour, _LINE)

    def note(self, at: datetime, text: str) -> None:
        x = self._x((at - self._first).total_seconds())
        self._text(x, self._y(0.5) - 6, text, "middle", "#9ca3af")

    def mark(self, at: datetime, name: str) -> None:
        x = self._x((at - self._first).total_seconds())
        y = 38 + 14 * (self._marked % 3)
        self._marked += 1
        self._stroke(
            f"{x:.1f},{y + 4} {x:.1f},{_HEIGHT - _BOTTOM}", "#6b7280", 'stroke-dasharray="3 3"'
        )
        near = x > _WIDTH - _RIGHT - 110
        self._text(x - 4 if near else x, y, name, "end" if near else "start")

    def svg(self) -> str:
        body = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'font-family="sans-serif" font-size="12">\n'
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>\n{body}\n</svg>\n'
        )
