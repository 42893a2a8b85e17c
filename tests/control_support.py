"""The control worker alone, woken by a record, for tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

from consumers.control import build_worker
from consumers.kafka import input_topics
from consumers.settings import ControlSettings
from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from producers.port import Raw


class Woken:
    """What the control worker drives: notes who woke it."""

    def __init__(self) -> None:
        self.topics: asyncio.Queue[str] = asyncio.Queue()

    def woken(self, topic: str, events: int) -> None:
        assert events > 0
        self.topics.put_nowait(topic)

    async def consider(self) -> None: ...
    async def advance(self) -> None: ...
    async def relay(self) -> None: ...
    async def maintain(self) -> None: ...


async def wake(
    connection: KafkaConnection, publisher: KafkaConnection, prefix: str, folder: Path
) -> str:
    """Run the worker until it is woken by feedback that `publisher` sends; the topic that did."""
    operations = Woken()
    app = build_worker(
        operations,
        input_topics(prefix),
        connection=connection,
        settings=ControlSettings(),
        data=str(folder / "faust"),
    )
    app.finalize()
    await app.start()
    publishing = asyncio.create_task(keep_publishing(publisher, f"{prefix}feedback.received"))
    try:
        return await asyncio.wait_for(operations.topics.get(), 30)
    finally:
        publishing.cancel()
        await app.stop()


async def keep_publishing(connection: KafkaConnection, topic: str) -> None:
    """The worker reads from the end, which it finds when it is assigned."""
    producer = KafkaProducer(connection)
    try:
        while True:
            await producer.send_raw([Raw(topic=topic, key=None, value=b"{}", headers=())])
            await asyncio.sleep(0.2)
    finally:
        await producer.stop()
