"""Payloads of records, which may hold any bytes, on a terminal, in JSON and in files."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from schemas.errors import Code, Unrecoverable

SHOWN = 20_000
"""Characters of a payload that are printed."""


def moment(stamp: int) -> datetime:
    """Kafka's timestamp; what no calendar has becomes its first or last second."""
    return datetime.fromtimestamp(min(max(stamp, 0), 253_402_300_799_000) / 1000, UTC)


def milliseconds(text: str) -> int:
    """RFC 3339, or a day, as Kafka's timestamp; UTC where no offset is given."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"--since {text}: write 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return int(found.timestamp() * 1000)


def text_of(data: bytes | None) -> str:
    """Bytes for people: what is no text is escaped."""
    if data is None:
        return "(null)"
    text = visible(data.decode(errors="backslashreplace"))
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]}\n… {len(text) - SHOWN} characters more; --out FILE writes all of it"


def visible(text: str) -> str:
    """What a terminal would obey is escaped."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def plain(data: bytes | None) -> Any:
    """Text as a string, null as null, and what is no text as {"base64": …}."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def write(path: Path, data: bytes) -> None:
    """A new file. Raises Unrecoverable(BAD_OPTION or UNWRITABLE)."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        detail = f"--out {path}: it is there already"
        raise Unrecoverable(Code.BAD_OPTION, detail, remedy="name a new file") from None
    except OSError as error:
        raise Unrecoverable(Code.UNWRITABLE, f"{path}: {error.strerror}") from error


def read(path: Path) -> bytes:
    """Raises Unrecoverable(NO_SUCH_FILE)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unrecoverable(Code.NO_SUCH_FILE, f"{path}: {error.strerror}") from error
