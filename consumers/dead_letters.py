"""Dead letters: the record byte for byte, with Kafka Connect's headers saying what was wrong.

What the topic refuses for its size is kept as objects, and a record without a value points there.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import compress
from operator import not_

import structlog

from producers.port import BadTimestamp, Producer, Raw, TooLarge
from schemas.digests import sha256_hex
from schemas.envelope import Limits, decode
from schemas.errors import Code, InvalidEvent, Unrecoverable
from schemas.events import DEAD_LETTER_TOPIC
from schemas.letters import Headers, Letter, error_headers, letter_id, pointer_headers, time_headers
from schemas.records import Record
from schemas.rows import Disposition, Row
from stores.artifacts.objects import ObjectFolder

log = structlog.get_logger(__name__)
FOLDER = "dead-letters"
LIMITS = Limits()
_ALONE = 512 * 1024
"""Records of more bytes are sent alone: when one is refused, those beside it are not sent twice."""
PARTS = ("value", "key", "headers.json")
Original = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers of a record, as it came."""


class DeadLetters:
    """Publishes what could not be read, before its row is committed: at least once each."""

    def __init__(
        self, producer: Producer, prefix: str, objects: ObjectFolder, limits: Limits = LIMITS
    ) -> None:
        self._producer = producer
        self._limits = limits
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
        large = [_size(record) > _ALONE for record, _ in found]
        await self._send_together(list(compress(found, map(not_, large))))
        for record, row in compress(found, large):
            await self._send_alone(record, row)
        return len(found)

    async def _send_together(self, found: Sequence[tuple[Record, Row]]) -> None:
        try:
            await self._producer.send_raw([self._letter(record, row) for record, row in found])
        except (TooLarge, BadTimestamp):  # Kafka does not say which one
            for record, row in found:
                await self._send_alone(record, row)

    async def _send_alone(self, record: Record, row: Row) -> None:
        """The record; else a pointer with its key and headers; else, where these fill it, without."""
        try:
            await self._send_one(self._letter(record, row))
        except TooLarge:
            uri = await asyncio.to_thread(self._keep, record, row)
            said = [*self._said(record, row), *pointer_headers(row, uri)]
            whole = record._replace(value=None)
            try:
                await self._send_one(self._raw(whole, said))
            except TooLarge:
                bare = whole._replace(key=None, headers=())
                await self._send_one(self._raw(bare, said))

    async def _send_one(self, raw: Raw) -> None:
        """With its own time; else, where the topic limits that, with the present one."""
        try:
            await self._producer.send_raw([raw])
        except BadTimestamp:
            headers = [*raw.headers, *time_headers(raw.timestamp)]
            await self._producer.send_raw([replace(raw, timestamp=None, headers=headers)])

    def _keep(self, record: Record, row: Row) -> str:
        """Store the `PARTS`; the address of their folder."""
        folder = f"{FOLDER}/{letter_id(row)}"
        parts = (record.value, record.key, _encoded(record.headers))
        for name, data in zip(PARTS, parts, strict=True):
            if data is not None:
                self._objects.put(f"{folder}/{name}", data)
        return self._objects.uri(folder)

    def _letter(self, record: Record, row: Row) -> Raw:
        return self._raw(record, self._said(record, row))

    def _said(self, record: Record, row: Row) -> Headers:
        """Headers with the reason in words. Rows hold none, so the record is read once more."""
        try:
            decode(record, self._limits)
        except InvalidEvent as error:
            return error_headers(row, error.detail)
        return error_headers(row, "")

    def _raw(self, record: Record, said: Headers) -> Raw:
        return Raw(
            topic=self.topic,
            key=record.key,
            value=record.value,
            headers=[*record.headers, *said],
            timestamp=record.timestamp,
        )


def original(letter: Letter, objects: Callable[[], ObjectFolder]) -> Original:
    """The record that a letter is, wherever it lies.

    Raises Unrecoverable(NO_SUCH_FILE or DIGEST_MISMATCH) if its object is not what was stored.
    """
    if letter.uri is None:
        return letter.key, letter.value, letter.headers
    return _stored(objects(), letter, letter.uri)


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


def _size(record: Record) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers


def _stored(objects: ObjectFolder, letter: Letter, uri: str) -> Original:
    folder = objects.key(uri)
    if not folder.startswith(f"{FOLDER}/"):
        raise Unrecoverable(Code.DIGEST_MISMATCH, f"{uri} is no dead letter's folder")
    value, key, headers = (
        objects.get(f"{folder}/{name}") if objects.exists(f"{folder}/{name}") else None
        for name in PARTS
    )
    if sha256_hex(value or b"") != letter.said.get("lorikeet_sha256"):
        raise Unrecoverable(Code.DIGEST_MISMATCH, f"{uri}/value")
    return key, value, _decoded(headers or b"[]")


def _encoded(headers: Headers) -> bytes:
    pairs = [[n, None if v is None else base64.b64encode(v).decode()] for n, v in headers]
    return json.dumps(pairs).encode()


def _decoded(text: bytes) -> Headers:
    return [(n, None if v is None else base64.b64decode(v)) for n, v in json.loads(text)]
