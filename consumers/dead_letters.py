"""Dead letters: the record byte for byte, with Kafka Connect's headers saying what was wrong.

What the topic refuses for its size is kept as objects, and a record without a value points there.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable, Sequence

import structlog

from producers.port import Producer, Raw, TooLarge
from schemas.events import DEAD_LETTER_TOPIC
from schemas.records import Record
from schemas.rows import Disposition, Row
from stores.artifacts.objects import ObjectFolder

log = structlog.get_logger(__name__)
FOLDER = "dead-letters"
_PREFIX = "__connect.errors."


class DeadLetters:
    """Publishes what could not be read, before its row is committed: at least once each."""

    def __init__(self, producer: Producer, prefix: str, objects: ObjectFolder) -> None:
        self._producer = producer
        self.topic = f"{prefix}{DEAD_LETTER_TOPIC}"
        self._objects = objects

    async def send(self, pairs: Iterable[tuple[Record, Row]]) -> int:
        """Publish the dead letters among (record, row); how many."""
        found = [
            (record, row) for record, row in pairs if row.disposition is Disposition.DEAD_LETTER
        ]
        if not found:
            return 0
        _log(found)
        try:
            await self._producer.send_raw([self._letter(record, row) for record, row in found])
        except TooLarge:  # Kafka does not say which one
            for record, row in found:
                await self._send_alone(record, row)
        return len(found)

    async def _send_alone(self, record: Record, row: Row) -> None:
        """The record; else a pointer with its key and headers; else, where these fill it, without."""
        try:
            await self._producer.send_raw([self._letter(record, row)])
        except TooLarge:
            uri = await asyncio.to_thread(self._keep, record, row)
            said = [*_headers(record, row), *_where(row, uri)]
            whole = record._replace(value=None)
            try:
                await self._producer.send_raw([self._raw(whole, said)])
            except TooLarge:
                bare = whole._replace(key=None, headers=())
                await self._producer.send_raw([self._raw(bare, said)])

    def _keep(self, record: Record, row: Row) -> str:
        """Store `value`, `key` and `headers.json`; the address of their folder."""
        folder = f"{FOLDER}/{_identity(record, row)}"
        headers = [
            [name, None if value is None else base64.b64encode(value).decode()]
            for name, value in record.headers
        ]
        parts = {
            "value": record.value,
            "key": record.key,
            "headers.json": json.dumps(headers).encode(),
        }
        for name, data in parts.items():
            if data is not None:
                self._objects.put(f"{folder}/{name}", data)
        return self._objects.uri(folder)

    def _letter(self, record: Record, row: Row) -> Raw:
        return self._raw(record, _headers(record, row))

    def _raw(self, record: Record, said: Sequence[tuple[str, bytes]]) -> Raw:
        return Raw(
            topic=self.topic,
            key=record.key,
            value=record.value,
            headers=[*record.headers, *said],
            timestamp=record.timestamp,
        )


def stage_of(_code: str | None) -> str:
    """Kafka Connect's name of the stage that refused a record."""
    return "VALUE_CONVERTER"


def _identity(record: Record, row: Row) -> str:
    return f"{row.cluster}-{record.topic}-{record.partition}-{record.offset}"


def _log(found: Sequence[tuple[Record, Row]]) -> None:
    """One line a reason: how many, and where the first of them lies."""
    reasons: dict[str, list[Row]] = {}
    for _, row in found:
        reasons.setdefault(", ".join(row.reasons), []).append(row)
    for reason, rows in reasons.items():
        log.warning(
            "ingest.dead_letters",
            reason=reason,
            count=len(rows),
            first=f"{rows[0].topic}[{rows[0].partition}]@{rows[0].offset}",
        )


def _headers(record: Record, row: Row) -> Sequence[tuple[str, bytes]]:
    said = {
        f"{_PREFIX}topic": record.topic,
        f"{_PREFIX}partition": str(record.partition),
        f"{_PREFIX}offset": str(record.offset),
        f"{_PREFIX}stage": "VALUE_CONVERTER",
        f"{_PREFIX}class.name": "consumers.ingest",
        f"{_PREFIX}exception.message": f"{row.error_code} {', '.join(row.reasons)}",
        "lorikeet_id": _identity(record, row),
    }
    return [(name, value.encode()) for name, value in said.items()]


def _where(row: Row, uri: str) -> Sequence[tuple[str, bytes]]:
    """Where the payload lies: its folder's address, its size in bytes, its SHA-256."""
    said = {"lorikeet_uri": uri, "lorikeet_size": str(row.size), "lorikeet_sha256": row.digest}
    return [(name, value.encode()) for name, value in said.items()]
