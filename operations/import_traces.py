"""Bring traces that people already have to Kafka.

Files are read twice. First they are looked at: a file that is missing or of another format stops the
import before anything is sent. Then they are sent, each event only if ingest would be able to read it.
Importing again sends the same events with the same ids; Lorikeet counts them as duplicates.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from processors.imports.openai_chat import openai_chat
from processors.imports.port import Format, Imported, Refused
from processors.imports.stated import DerivedTools, Stated, Tools, absent, complete
from processors.imports.tau2 import tau2
from processors.imports.tau_bench import tau_bench
from producers.encode import message
from producers.port import Outgoing, Producer
from schemas.envelope import Limits, decode
from schemas.errors import Code, InvalidEvent, Unrecoverable
from schemas.records import Record

FORMATS: dict[str, Format] = {"openai-chat": openai_chat, "tau-bench": tau_bench, "tau2": tau2}
Progress = Callable[[int, int], None]
"""Called with how many records are done, and of how many."""
_BATCH = 100
_NAMED = 5
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Looked:
    """Files that were looked at: all of the format, `records` in them, tools derived by agent."""

    parse: Format
    files: tuple[Path, ...]
    stated: Stated
    records: int
    derived: dict[str, list[dict[str, Any]]]


@dataclass(slots=True)
class Summary:
    """What was sent by event type, what was refused and why, and what stayed absent in how many.

    `refusals` name the first few; `derived` is the number of tool definitions by agent.
    """

    sent: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    refusals: list[str] = field(default_factory=list)
    absent: Counter[str] = field(default_factory=Counter)
    derived: dict[str, int] = field(default_factory=dict)

    def refuse(self, file: Path, refused: Refused) -> None:
        """Count a refusal."""
        self.refused += 1
        if len(self.refusals) < _NAMED:
            self.refusals.append(f"{file.name} {refused.where}: {refused.reason}")


def look(name: str, files: Sequence[Path], stated: Stated) -> Looked:
    """Read all files once. `name` is a key of FORMATS.

    Raises Unrecoverable(NO_SUCH_FILE or BAD_IMPORT), the latter also if no record can be used.
    """
    parse, found, tools, usable = FORMATS[name], Summary(), DerivedTools(), 0
    for file, item in _records(parse, files):
        if isinstance(item, Refused):
            found.refuse(file, item)
            continue
        usable += 1
        if stated.derive_tools:
            tools.see(item)
    if not usable:
        why = found.refusals[0] if found.refusals else f"nothing in {files[0].name}"
        raise Unrecoverable(Code.BAD_IMPORT, f"no usable record as {name}; {why}")
    return Looked(parse, tuple(files), stated, usable + found.refused, tools.by_agent())


def read_tools(file: Path) -> Tools:
    """Tool definitions from a JSON file. Raises Unrecoverable(NO_SUCH_FILE or BAD_IMPORT)."""
    try:
        tools = json.loads(b"".join(_lines(file)))
    except (ValueError, RecursionError) as error:
        raise Unrecoverable(Code.BAD_IMPORT, f"{file}: not JSON: {error}") from None
    if not isinstance(tools, list) or not tools or not all(map(_named, tools)):
        raise Unrecoverable(Code.BAD_IMPORT, f"{file}: not a list of tool definitions with names")
    return tools


class ImportTraces:
    """Sends what was looked at. `limits` are ingest's own; `prefix` goes before topics."""

    def __init__(self, producer: Producer, prefix: str, limits: Limits) -> None:
        self._producer = producer
        self._prefix = prefix
        self._limits = limits

    async def __call__(
        self, looked: Looked, progress: Progress = lambda _done, _all: None
    ) -> Summary:
        """Send in the order of the files; returns when all of it is acknowledged.

        Raises Unrecoverable(BAD_IMPORT) if nothing could be sent, NotReady if Kafka does not take it.
        """
        summary = Summary(derived={agent: len(tools) for agent, tools in looked.derived.items()})
        events = self._events(looked, summary)
        while batch := list(islice(events, _BATCH)):
            await self._producer.send(batch)
            summary.sent.update(event.type for event in batch)
            progress(summary.sent.total() + summary.refused, looked.records)
        if not summary.sent:
            raise Unrecoverable(Code.BAD_IMPORT, summary.refusals[0])
        return summary

    def _events(self, looked: Looked, summary: Summary) -> Iterator[Outgoing]:
        for file, read in _records(looked.parse, looked.files):
            if isinstance(read, Refused):
                summary.refuse(file, read)
                continue
            item = complete(read, looked.stated, looked.derived)
            event = self._outgoing(item)
            try:
                self._check(event)
            except InvalidEvent as error:
                summary.refuse(file, Refused(str(error), item.where))
                continue
            summary.absent.update(absent(item))
            yield event

    def _outgoing(self, item: Imported) -> Outgoing:
        return Outgoing(
            topic=f"{self._prefix}{item.kind}",
            key=item.id,
            id=item.id,
            source=item.source,
            type=item.kind,
            time=item.time,
            subject=item.subject,
            data=item.data,
        )

    def _check(self, event: Outgoing) -> None:
        """Raises InvalidEvent for what ingest would make a dead letter."""
        value, headers = message(event)
        record = Record(event.topic, 0, 0, 0, event.key.encode(), value, tuple(headers))
        decode(record, self._limits)


def _records(parse: Format, files: Sequence[Path]) -> Iterator[tuple[Path, Imported | Refused]]:
    for file in files:
        for item in parse(file.name, _lines(file)):
            yield file, item


def _lines(file: Path) -> Iterator[bytes]:
    """A file's lines, decompressed if it is gzip."""
    try:
        with file.open("rb") as plain:
            zipped = plain.read(2) == _GZIP
            plain.seek(0)
            with gzip.open(plain) if zipped else plain as lines:
                yield from lines
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Unrecoverable(Code.BAD_IMPORT, f"{file}: {error}") from None
    except OSError as error:
        raise Unrecoverable(Code.NO_SUCH_FILE, f"{file}: {error.strerror}") from None


def _named(tool: Any) -> bool:
    if not isinstance(tool, Mapping):
        return False
    inner = tool.get("function", tool)
    return isinstance(inner, Mapping) and isinstance(inner.get("name"), str)
