"""What the command line asked for, and a folder that is the demonstration's own."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import Code, Unrecoverable

MARKER = ".lorikeet-demo"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    data: Path
    seed: int = 0
    swap: bool = True
    keep: bool = False
    report: Path | None = None


def prepare(options: Options, stack: ExitStack) -> None:
    """An empty folder of our own, held until the stack is closed, and a report that can be written.

    Raises Unrecoverable(FOREIGN_FOLDER) rather than delete what others made or still use.
    """
    data = options.data
    try:
        data.mkdir(parents=True, exist_ok=True)
        _hold(data, stack)
        found = [path for path in data.iterdir() if path.name != MARKER]
        if found and not (data / MARKER).exists():
            raise Unrecoverable(Code.FOREIGN_FOLDER, f"{data} is not empty")
        (data / MARKER).write_text("made by `lorikeet demo`; the next run empties this folder\n")
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    except FileExistsError:
        raise Unrecoverable(Code.FOREIGN_FOLDER, f"{data} is a file") from None
    except OSError as error:
        raise Unrecoverable(Code.UNWRITABLE, f"{data}: {error.strerror}") from error
    if options.report is not None:
        try:
            options.report.touch()
            options.report.unlink()
        except OSError as error:
            raise Unrecoverable(Code.UNWRITABLE, f"{options.report}: {error.strerror}") from error


def _hold(data: Path, stack: ExitStack) -> None:
    folder = os.open(data, os.O_RDONLY)
    stack.callback(os.close, folder)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        why = f"another demonstration runs in {data}"
        raise Unrecoverable(Code.FOREIGN_FOLDER, why, remedy="choose another --data") from None
