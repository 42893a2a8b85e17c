"""The test bed: an embedded broker, and a topic full of events."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks.cores import pin
from benchmarks.events import carries_pii, event, event_id
from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from service.broker import EmbeddedBroker

PARTITIONS = 4
PREFIX = "bench."
TOPIC = f"{PREFIX}execution.completed"


@dataclass(frozen=True, slots=True)
class Bed:
    """A broker that runs and a topic that is full."""

    broker: EmbeddedBroker
    events: int
    mean_bytes: float

    @property
    def ids(self) -> list[str]:
        """The ids of all events."""
        return [event_id(number) for number in range(self.events)]

    @property
    def personal(self) -> int:
        """Events that carry personal data."""
        return sum(map(carries_pii, range(self.events)))

    def pin(self, cores: tuple[int, ...]) -> None:
        """Pin the broker."""
        pin(self.broker.pid or os.getpid(), cores)


@contextmanager
def full_bed(folder: Path, events: int, step: Callable[[int], None]) -> Iterator[Bed]:
    """Start a broker in the folder and publish the events; `step` is told how many more are in."""
    broker = EmbeddedBroker(folder / "broker")
    try:
        bootstrap = broker.start()
        asyncio.run(create_topics(KafkaConnection(bootstrap), PREFIX, PARTITIONS))
        size = asyncio.run(_publish(bootstrap, events, step))
        yield Bed(broker, events, size / events)
    finally:
        broker.stop()


async def _publish(bootstrap: str, events: int, step: Callable[[int], None]) -> int:
    """The bytes published, uncompressed, over the partitions in turn."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, linger_ms=20, max_batch_size=262_144
    )
    await producer.start()
    size = 0
    try:
        for number in range(events):
            value = event(number)
            size += len(value)
            await producer.send(TOPIC, value, partition=number % PARTITIONS)
            if number % 500 == 0:
                step(min(500, events - number))
        await producer.flush()
    finally:
        await producer.stop()
    return size
