"""Publishing to Kafka: idempotent, acknowledged by all replicas in sync."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from producers.encode import message
from producers.port import Outgoing, Raw
from schemas.errors import Code, NotReady

_MAX_REQUEST = 16 * 1024 * 1024


class KafkaProducer:
    """See `Producer`. Connects at `start` and gives up what is in flight at `stop`."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises NotReady(NO_BROKER)."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            acks="all",
            linger_ms=2,
            max_request_size=_MAX_REQUEST,
            request_timeout_ms=10_000,
        )
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise NotReady(Code.NO_BROKER, f"{self._bootstrap}: {error}") from error
        self._producer = producer

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def send(self, events: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        """Publish events in order."""
        pending = []
        for event in events:
            value, headers = message(event)
            pending.append(
                await self._enqueue(
                    event.topic, value=value, key=event.key.encode(), headers=headers
                )
            )
        return await self._acknowledged(pending)

    async def send_raw(self, records: Sequence[Raw]) -> None:
        """Publish records byte for byte."""
        pending = [
            await self._enqueue(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                timestamp_ms=record.timestamp,
            )
            for record in records
        ]
        await self._acknowledged(pending)

    async def _enqueue(self, topic: str, **message: Any) -> asyncio.Future[Any]:
        if self._producer is None:
            await self.start()
        assert self._producer is not None  # noqa: S101 - `start` sets it or raises
        try:
            sent: asyncio.Future[Any] = await self._producer.send(topic, **message)
        except KafkaError as error:
            raise NotReady(Code.PUBLISH_FAILED, f"{topic}: {error!r}") from error
        return sent

    async def _acknowledged(
        self, pending: Sequence[asyncio.Future[Any]]
    ) -> dict[tuple[str, int], int]:
        try:
            written = await asyncio.gather(*pending)
        except KafkaError as error:
            await self._forget()
            raise NotReady(Code.PUBLISH_FAILED, repr(error)) from error
        offsets: dict[tuple[str, int], int] = {}
        for record in written:
            key = (record.topic, record.partition)
            offsets[key] = max(offsets.get(key, 0), record.offset + 1)
        return offsets

    async def _forget(self) -> None:
        """Start anew next time: after a failure an idempotent producer may not continue."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
