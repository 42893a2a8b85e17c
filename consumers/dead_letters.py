"""Dead letters: the record byte for byte, with Kafka Connect's headers saying what was wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from producers.port import Producer, Raw
from schemas.events import DEAD_LETTER_TOPIC
from schemas.records import Record
from schemas.rows import Disposition, Row

_PREFIX = "__connect.errors."


class DeadLetters:
    """Publishes what could not be read, before its row is committed: at least once each."""

    def __init__(self, producer: Producer, prefix: str) -> None:
        self._producer = producer
        self._topic = f"{prefix}{DEAD_LETTER_TOPIC}"

    async def send(self, pairs: Iterable[tuple[Record, Row]]) -> int:
        """Publish the dead letters among (record, row); how many."""
        letters = [
            self._letter(record, row)
            for record, row in pairs
            if row.disposition is Disposition.DEAD_LETTER
        ]
        if letters:
            await self._producer.send_raw(letters)
        return len(letters)

    def _letter(self, record: Record, row: Row) -> Raw:
        return Raw(
            topic=self._topic,
            key=record.key,
            value=record.value,
            headers=[*record.headers, *_headers(record, row)],
            timestamp=record.timestamp,
        )


def _headers(record: Record, row: Row) -> Sequence[tuple[str, bytes]]:
    said = {
        f"{_PREFIX}topic": record.topic,
        f"{_PREFIX}partition": str(record.partition),
        f"{_PREFIX}offset": str(record.offset),
        f"{_PREFIX}stage": "VALUE_CONVERTER",
        f"{_PREFIX}class.name": "consumers.ingest",
        f"{_PREFIX}exception.message": f"{row.error_code} {', '.join(row.reasons)}",
        "lorikeet_id": f"{row.cluster}-{record.topic}-{record.partition}-{record.offset}",
    }
    return [(name, value.encode()) for name, value in said.items()]
