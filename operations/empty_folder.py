"""A folder for files to be written into, which holds nothing of anybody's."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import Code, Unrecoverable


def require_empty(folder: Path) -> None:
    """Make the folder. Raises Unrecoverable(FOREIGN_FOLDER or UNWRITABLE)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except FileExistsError:
        raise Unrecoverable(Code.FOREIGN_FOLDER, f"{folder} is a file") from None
    except OSError as error:
        raise Unrecoverable(Code.UNWRITABLE, f"{folder}: {error.strerror}") from error
    if full:
        raise Unrecoverable(Code.FOREIGN_FOLDER, f"{folder} is not empty")
