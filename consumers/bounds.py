"""Where a backfill begins and ends, as offsets: from words, a time, or a file of offsets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from consumers.assignment import Bounds
from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition

Offsets = dict[TopicPartition, int]


async def resolve(
    connection: KafkaConnection, topics: Sequence[str], start: str | None, until: str | None
) -> Bounds:
    """`beginning`, `now`, an RFC 3339 time, or a JSON file `{"topic:partition": offset}`, each.

    A time is the first record of that Kafka timestamp or later. A partition that a file leaves out is
    read from its first record (`start`), or not at all (`until`). Raises Unrecoverable(BAD_RANGE),
    or what `diagnose` finds.
    """
    if start is None and until is None:
        return Bounds()
    consumer = AIOKafkaConsumer(
        *topics, **connection.options(), enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        await consumer.start()
        partitions = sorted(consumer.assignment())
        return Bounds(
            None if start is None else await _offsets(consumer, partitions, start),
            None if until is None else await _offsets(consumer, partitions, until),
        )
    except KafkaError as error:
        raise await diagnose(connection, error) from error
    finally:
        await consumer.stop()


async def _offsets(consumer: Any, partitions: Sequence[KafkaPartition], place: str) -> Offsets:
    if place == "beginning":
        found = await consumer.beginning_offsets(partitions)
    elif place == "now":
        found = await consumer.end_offsets(partitions)
    elif (time := _time(place)) is not None:
        found = await _at(consumer, partitions, time)
    else:
        return await _checked(consumer, partitions, place)
    return {TopicPartition(*partition): offset for partition, offset in found.items()}


async def _at(consumer: Any, partitions: Sequence[KafkaPartition], time: datetime) -> Any:
    milliseconds = int(time.timestamp() * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, milliseconds))
    ends = await consumer.end_offsets(partitions)
    return {tp: found[tp].offset if found.get(tp) else ends[tp] for tp in partitions}


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        raise Unrecoverable(Code.BAD_RANGE, f"{text}: a time needs an offset, like Z")
    return found


async def _checked(consumer: Any, partitions: Sequence[KafkaPartition], name: str) -> Offsets:
    """The offsets in a file. Raises Unrecoverable(BAD_RANGE) for one that its log does not have."""
    found = _read(name)
    starts = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    for tp, offset in found.items():
        key = KafkaPartition(*tp)
        if key not in starts:
            raise Unrecoverable(
                Code.BAD_RANGE, f"{name}: {tp.topic}:{tp.partition} is not read here"
            )
        if not starts[key] <= offset <= ends[key]:
            held = f"its log holds {starts[key]} to {ends[key]}"
            raise Unrecoverable(
                Code.BAD_RANGE, f"{name}: {tp.topic}:{tp.partition}: {offset}; {held}"
            )
    return found


def _read(name: str) -> Offsets:
    try:
        stated = json.loads(Path(name).read_text())
        found = {}
        for key, offset in stated.items():
            topic, _, partition = key.rpartition(":")
            found[TopicPartition(topic, int(partition))] = int(offset)
    except OSError as error:
        raise Unrecoverable(Code.BAD_RANGE, f"{name}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise Unrecoverable(Code.BAD_RANGE, f"{name} holds no such offsets") from error
    return found
