"""What a person sees of the demonstration: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

_PLAIN_EVERY = 10.0


class Display(Protocol):
    """Tells the story: chapters, facts, and how far something is."""

    def chapter(self, number: int, title: str) -> None:
        """A chapter begins."""

    def fact(self, text: str) -> None:
        """Something happened that stays on the screen."""

    def progress(self, text: str, done: float, total: float | None) -> None:
        """Something is under way; `total` is None where nobody knows how long it takes."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the screen tidy."""


def display(chapters: int) -> Display:
    """The right display for this standard output."""
    console = Console(highlight=False)
    return Live(console, chapters) if console.is_terminal else Plain(console, chapters)


class Plain:
    """Plain lines with the seconds since the start."""

    def __init__(self, console: Console, chapters: int) -> None:
        self._console = console
        self._chapters = chapters
        self._started = time.monotonic()
        self._said = 0.0

    def chapter(self, number: int, title: str) -> None:
        """A chapter begins."""
        self._line(f"{number}/{self._chapters} {title}")

    def fact(self, text: str) -> None:
        """Something happened."""
        self._line(f"    {text}")

    def progress(self, text: str, done: float, total: float | None) -> None:
        """A line now and then."""
        if time.monotonic() - self._said >= _PLAIN_EVERY:
            self._line(f"    … {text}" + ("" if total is None else f" {done:.0f} of {total:.0f}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def _line(self, text: str) -> None:
        self._said = time.monotonic()
        stamp = f"[{self._said - self._started:6.1f} s]"
        self._console.print(f"{stamp} {text}", markup=False, soft_wrap=True)


class Live:
    """Facts scroll by; one bar below shows what is under way."""

    def __init__(self, console: Console, chapters: int) -> None:
        self._console = console
        self._chapters = chapters
        self._bar = Progress(
            TextColumn("   "),
            SpinnerColumn(),
            TextColumn("[cyan]{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._phase = ""
        self._started = time.monotonic()

    def chapter(self, number: int, title: str) -> None:
        """A chapter begins."""
        self._clear()
        seconds = time.monotonic() - self._started
        self._bar.print(
            f"\n[bold green]{number}/{self._chapters}[/] [bold]{title}[/] "
            f"[dim]\\[{seconds // 60:.0f}:{seconds % 60:02.0f}][/]"
        )

    def fact(self, text: str) -> None:
        """Something happened."""
        self._clear()
        self._bar.print(f"    [green]✓[/] {text}", soft_wrap=True)

    def progress(self, text: str, done: float, total: float | None) -> None:
        """Move the bar; one bar as long as the text before its comma stays."""
        phase = text.partition(",")[0]
        count = "" if total is None else f"{done:.0f}/{total:.0f}"
        if self._task is None or phase != self._phase:
            self._clear()
            self._task = self._bar.add_task(text, total=total, count=count)
            self._phase = phase
        self._bar.update(self._task, description=text, completed=done, total=total, count=count)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()
        self._bar.stop()

    def _clear(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
