"""A text in the person's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

_USUAL = "vi"


class NoEditor(Exception):
    """The editor did not do its work; says why in one line."""


def edited(text: str, suffix: str) -> str:
    """`text` as it is when the editor ends. The file has mode 600 and is removed again.

    The editor is $VISUAL, else $EDITOR, else vi. Raises NoEditor, also where what it left is no UTF-8.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _USUAL
    descriptor, name = tempfile.mkstemp(prefix="lorikeet-", suffix=suffix)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
        _run(command, name)
        return _without_last_newline(path.read_text(encoding="utf-8"), text)
    except (OSError, UnicodeDecodeError) as error:
        raise NoEditor(f"{command}: {error}") from None
    finally:
        path.unlink(missing_ok=True)


def _run(command: str, name: str) -> None:
    try:
        parts = shlex.split(command)
    except ValueError as error:
        raise NoEditor(f"$EDITOR is {command!r}: {error}") from None
    ended = subprocess.run([*parts, name], check=False)  # noqa: S603 - the person's own choice
    if ended.returncode:
        raise NoEditor(f"{command} ended with {ended.returncode}: nothing was taken over")


def _without_last_newline(found: str, before: str) -> str:
    """Editors end files with a newline that is none of the text's."""
    return found if before.endswith("\n") else found.removesuffix("\n")
