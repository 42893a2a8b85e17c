"""What an import format is, and what every format shares.

A format says only what its source says: what is absent stays absent, and the person who imports may
state it. Ids are made of the source, the record's own key and what was stated, so that importing twice
gives the same events and Lorikeet counts the second ones as duplicates.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.chat import Message
from schemas.digests import LORIKEET_NAMESPACE
from schemas.errors import Code, Unrecoverable
from schemas.events import EXECUTION
from schemas.executions import ExecutionData

_SUFFIXES = (".gz", ".json", ".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One event. `data` is JSON for the event type `kind`; `time` is None where no time is known.

    `where` names the record inside its file, for messages to people.
    """

    kind: str
    id: str
    source: str
    subject: str | None
    time: datetime | None
    data: dict[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One record that cannot become an event, and why."""

    reason: str
    where: str


class Format(Protocol):
    """Reads one file: its name and its lines, decompressed.

    A record that cannot be used is Refused and the next one is read. Raises
    Unrecoverable(BAD_IMPORT) where the file as a whole is not of this format.
    """

    def __call__(self, name: str, lines: Iterable[bytes]) -> Iterator[Imported | Refused]:
        """The records in the order of the file."""


class Unusable(Exception):
    """Inside a format: this record cannot be used; the message says why."""


class Shape(BaseModel):
    """What a format reads of a record; other fields are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def stem(name: str) -> str:
    """A file's name without its folder and without `.json`, `.jsonl` and `.gz`."""
    plain = name.replace("\\", "/").rsplit("/", 1)[-1]
    while any(plain.endswith(suffix) for suffix in _SUFFIXES):
        plain = plain.rsplit(".", 1)[0]
    return plain


def source_of(kind: str, name: str) -> str:
    """The CloudEvents source of a file's events, such as `urn:lorikeet:import:tau2:base_retail`."""
    return f"urn:lorikeet:import:{kind}:{quote(stem(name), safe='')}"


def execution(data: dict[str, Any], *, source: str, where: str, time: datetime | None) -> Imported:
    """An execution.completed; its id is UUIDv5 of the source and the execution id.

    Raises ValidationError where the data do not fit.
    """
    read = ExecutionData.model_validate(data)
    return Imported(
        kind=EXECUTION,
        id=str(uuid.uuid5(LORIKEET_NAMESPACE, f"{source}|{read.execution_id}")),
        source=source,
        subject=read.task.id or None,
        time=time,
        data=data,
        where=where,
    )


def document(kind: str, name: str, lines: Iterable[bytes]) -> Any:
    """The one JSON value that a file holds. Raises Unrecoverable(BAD_IMPORT)."""
    try:
        return json.loads(b"".join(lines))
    except (ValueError, RecursionError) as error:
        raise not_of(kind, name, f"not JSON: {error}") from None


def not_of(kind: str, name: str, why: str) -> Unrecoverable:
    """The error of a file that is not of a format."""
    return Unrecoverable(Code.BAD_IMPORT, f"{name} as {kind}: {why}")


def instant(value: Any) -> tuple[datetime | None, dict[str, str]]:
    """A recorded time in UTC, and a label where its zone had to be assumed.

    Reads ISO 8601 and seconds since 1970. Raises Unusable.
    """
    if value is None:
        return None, {}
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, tz=UTC), {}
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Unusable(f"not a time: {value!r}") from None
    if read.tzinfo is None:
        return read.replace(tzinfo=UTC), {"time_source": "recorded, zone assumed UTC"}
    return read.astimezone(UTC), {}


def present(**fields: Any) -> dict[str, Any]:
    """The fields that are known: None and empty ones are left out."""
    return {name: value for name, value in fields.items() if value not in (None, {}, [])}


def why(error: Unusable | ValidationError) -> str:
    """A record's first problem in one line, with the path of the field."""
    if isinstance(error, Unusable):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(map(str, first["loc"]))
    return f"{path}: {first['msg']}" if path else first["msg"]


def first_question(messages: Iterable[Message]) -> str:
    """The text of the first user turn: what was asked."""
    return next((message.text() for message in messages if message.role == "user"), "")
