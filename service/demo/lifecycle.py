"""Reading back what Kafka holds: the lifecycle events, and how many records ingest has to account for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from consumers.kafka import input_topics
from consumers.lenient_headers import LenientConsumer
from producers.connection import KafkaConnection
from schemas.events import LIFECYCLE_TOPIC


def lifecycle_events(connection: KafkaConnection, prefix: str = "") -> list[dict[str, Any]]:
    """Every event of `model.lifecycle`, in order: {id, type, data}."""
    found = []
    for headers, value in asyncio.run(_read(connection, [f"{prefix}{LIFECYCLE_TOPIC}"])):
        attributes = {name: data.decode() for name, data in headers}
        found.append(
            {
                "id": attributes["ce_id"],
                "type": attributes["ce_type"],
                "data": json.loads(value or b"{}"),
            }
        )
    return found


def count_records(connection: KafkaConnection, prefix: str = "") -> int:
    """How many records the input topics hold, counted one by one."""
    return len(asyncio.run(_read(connection, input_topics(prefix))))


async def _read(
    connection: KafkaConnection, topics: Sequence[str]
) -> list[tuple[Sequence[tuple[str, bytes]], bytes | None]]:
    consumer = LenientConsumer(
        *topics,
        **connection.options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        found = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(record.headers, record.value) for record in records]
        return found
    finally:
        await consumer.stop()
