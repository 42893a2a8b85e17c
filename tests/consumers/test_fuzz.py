"""Fuzzed records through the real broker and the real loop, in one run: each what the oracle says."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from consumers.dead_letters import original
from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from schemas.envelope import Limits
from schemas.events import DEAD_LETTER_TOPIC
from schemas.letters import Letter
from schemas.records import Record
from schemas.rows import Disposition, Row
from stores.artifacts.objects import ObjectFolder
from tests.consumers_support import ingest, read_all
from tests.schemas.mutators import mutated
from tests.schemas.oracle import is_dead

COUNT = 2_500


async def _publish(broker: str, topic: str, records: list[Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker, linger_ms=20)
    await producer.start()
    for found in records:
        await producer.send(
            topic, found.value, b"k", partition=0, headers=list(found.headers), timestamp_ms=1
        )
    await producer.flush()
    await producer.stop()


@pytest.mark.kafka
def test_fuzzed_records_through_the_broker(tmp_path: Path, broker: str) -> None:
    dice = random.Random(4)
    records = [mutated(dice)._replace(offset=number) for number in range(COUNT)]
    dead = [number for number, found in enumerate(records) if is_dead(found, Limits())]
    assert 0.1 * COUNT < len(dead) < 0.9 * COUNT
    prefix = f"t{uuid.uuid4().hex[:8]}."
    topic = f"{prefix}execution.completed"

    async def main() -> tuple[list[Row], list[Any]]:
        await create_topics(KafkaConnection(broker), prefix, 1)
        await _publish(broker, topic, records)
        rows = await ingest(broker, prefix, tmp_path / "ledger", COUNT)
        return rows, await read_all(broker, f"{prefix}{DEAD_LETTER_TOPIC}", len(dead))

    rows, found = asyncio.run(main())
    assert [row.offset for row in rows] == list(range(COUNT))
    assert [r.offset for r in rows if r.disposition is Disposition.DEAD_LETTER] == dead
    objects = ObjectFolder(f"file://{tmp_path}/ledger-objects")
    kept = {}
    for letter in found:
        read = Letter.of(letter)
        assert read is not None
        key, value, headers = original(read, lambda: objects)
        kept[int(read.said["__connect.errors.offset"])] = (key, value, tuple(headers))
    assert kept == {n: (b"k", records[n].value, records[n].headers) for n in dead}
    json_text = sum(1 for record in records if _json(record.value))
    assert json_text >= 0.3 * COUNT
    assert sum(row.disposition is Disposition.ACCEPTED for row in rows) >= 0.1 * COUNT


def _json(value: bytes | None) -> bool:
    try:
        json.loads(value or b"")
    except ValueError:
        return False
    return True
