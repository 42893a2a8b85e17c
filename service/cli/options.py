"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.columns import Column, fitting, line

if TYPE_CHECKING:
    from rich.table import Table

    from service.settings import Settings
    from service.wiring import Wiring

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (default: ./lorikeet.yaml if there is one)."),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Folder in which this installation keeps everything.")
]
Bootstrap = Annotated[
    str | None, typer.Option("--bootstrap", metavar="HOST:PORT", help="Kafka broker.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tenant = Annotated[str, typer.Option("--tenant", help="The model's tenant.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept.")]

_PIPED_WIDTH = 160
_NUMBER = re.compile(r"–|[\d,.]+( (B|[KMGT]iB|%))?")
SHORT = 12
"""Characters of an id in tables; commands take any beginning that only one id has."""


def debug() -> bool:
    """Whether --debug was given: full tracebacks, verbose logs."""
    return os.environ.get("LORIKEET_DEBUG") == "1"


def quiet_kafka() -> None:
    """Keep aiokafka from writing to stderr what our errors say in one line."""
    if not debug():
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def settings_of(
    config: Path | None, data: Path | None = None, bootstrap: str | None = None
) -> Settings:
    """The effective settings."""
    from service.settings import load  # noqa: PLC0415 - heavy

    return load(config, data=data, bootstrap=bootstrap)


def wiring_of(config: Path | None, data: Path | None, bootstrap: str | None = None) -> Wiring:
    """The operations of an installation, for a command that runs one of them."""
    from schemas.telemetry import NoMeter  # noqa: PLC0415
    from service.wiring import Wiring  # noqa: PLC0415

    settings = settings_of(config, data, bootstrap)
    if not settings.data.exists():
        raise Unrecoverable(
            Code.NO_SUCH_FILE,
            f"{settings.data}: no installation is here yet",
            remedy="give --config or --data, or start it: lorikeet run",
        )
    if not settings.data.is_dir():
        raise Unrecoverable(Code.FOREIGN_FOLDER, f"{settings.data} is a file")
    return Wiring(settings, NoMeter())


def ask(question: str, *, yes: bool, remedy: str = "give --yes") -> None:
    """Raises typer.Abort for a no, Unrecoverable(BAD_OPTION) where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Unrecoverable(Code.BAD_OPTION, f"{question} Nobody can be asked", remedy=remedy)
    typer.confirm(question, abort=True, err=True)


def actor() -> str:
    """Who gives the command, for the audit trail."""
    try:
        return f"user:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"user:{os.getuid()}"


def refuse(code: Code, faults: Sequence[str], where: str) -> None:
    """Raises Unrecoverable for faults, if there are any; of several, each on a line of its own before."""
    if len(faults) > 1:
        for fault in faults:
            typer.echo(f"{where}: {fault}", err=True)
        raise Unrecoverable(code, f"{len(faults)} faults in {where}")
    if faults:
        raise Unrecoverable(code, f"{where}: {faults[0]}")


def whole(beginning: str, known: Iterable[str]) -> str | None:
    """The one id that begins so; None if there is none or more than one."""
    matching = [found for found in known if found.startswith(beginning)]
    return matching[0] if len(matching) == 1 else None


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal's stderr, nothing elsewhere; to be told what is done, how much of how much."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    text = TextColumn("{task.description}")
    counted = TextColumn("{task.completed:,} of {task.total:,}")
    columns = (text, BarColumn(None), counted, TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=0, visible=False)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total, visible=True
        )


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    whole: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print rows under headings; says so where there are none.

    Numbers stand to the right. They, and the columns `whole`, are on one line, and no word is broken: where
    these are wider than the terminal, lines are. Before that the columns `spare` are left out, the first of
    them first; a column that says nothing in any row always is.
    """
    from rich.console import Console, ConsoleDimensions  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    if not rows:
        console.print(f"{title}: none")
        return
    cells = [[_cell(cell) for cell in column] for column in zip(*rows, strict=True)]
    known = [_Column(n, c, whole=n in whole) for n, c in zip(columns, cells, strict=True) if any(c)]
    rank = {name: len(spare) - place for place, name in enumerate(spare)}
    widths = fitting([one.width(rank.get(one.name, 0)) for one in known], console.width)
    table = _table(title, [(known[place], width) for place, width in widths.items()])
    # both are set: a terminal that is dumb has 80 columns for rich, whatever its width alone is set to
    console.size = ConsoleDimensions(max(console.width, line([*widths.values()])), console.height)
    console.print(table)
    console.print()


class _Column:
    """A column of a table: its name, its cells, and how it is to be shown."""

    def __init__(self, name: str, cells: Sequence[str], *, whole: bool) -> None:
        self.name = name
        self.cells = cells
        self.numbers = all(_NUMBER.fullmatch(cell) for cell in cells)
        self.heading = name.replace(" ", "\n") if self.numbers and "\n" not in name else name
        self.whole = whole or self.numbers

    def width(self, spare: int) -> Column:
        from rich.cells import cell_len  # noqa: PLC0415

        lines = [line for text in (self.heading, *self.cells) for line in text.split("\n")]
        most = max(map(cell_len, lines))
        words = [word for line in lines for word in line.split()]
        return Column(most if self.whole else max(map(cell_len, words), default=0), most, spare)


def _table(title: str, columns: Sequence[tuple[_Column, int]]) -> Table:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    for one, width in columns:
        justify: Literal["left", "right"] = "right" if one.numbers else "left"
        table.add_column(
            one.heading, overflow="fold", no_wrap=one.whole, width=width, justify=justify
        )
    for row in zip(*(one.cells for one, _ in columns), strict=True):
        table.add_row(*row)
    return table


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def counted(number: int, what: str) -> str:
    """1, "file" as 1 file; 1200 as 1,200 files."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def utc(moment: datetime) -> str:
    """A time as all commands print it, RFC 3339 in whole seconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def percent(share: float | None) -> str:
    """0.4321 as 43.2 %."""
    return "–" if share is None else f"{100 * share:.1f} %"


def size(count: float) -> str:
    """1536 as 1.5 KiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the next unit
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
