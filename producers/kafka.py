"""Publishing to Kafka: idempotent, acknowledged by all replicas in sync; and fenced, in transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    IllegalOperation,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)

from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from producers.encode import message
from producers.port import BadTimestamp, Fenced, Outgoing, Raw, TooLarge
from schemas.errors import Code, NotReady

_MAX_REQUEST = 16 * 1024 * 1024
_TAKE_OVER_SECONDS = 30.0


class KafkaProducer:
    """See `Producer`. Connects at `start` and gives up what is in flight at `stop`."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises what `diagnose` finds."""
        producer = _producer(self._connection)
        try:
            await producer.start()
        except KafkaError as error:
            await producer.stop()
            raise await diagnose(self._connection, error) from error
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
        """Publish records byte for byte; aiokafka takes none without both key and value, see `_key`."""
        pending = [
            await self._enqueue(
                record.topic,
                value=record.value,
                key=_key(record),
                headers=[(str(name), value) for name, value in record.headers],  # no subclass of it
                timestamp_ms=record.timestamp,
                partition=record.partition,
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
            raise _failed(error, f"{topic}: {error!r}") from error
        return sent

    async def _acknowledged(
        self, pending: Sequence[asyncio.Future[Any]]
    ) -> dict[tuple[str, int], int]:
        try:
            written = await asyncio.gather(*pending)
        except KafkaError as error:
            await self._forget()
            raise _failed(error, repr(error)) from error
        return _next_offsets(written)

    async def _forget(self) -> None:
        """Start anew next time: after a failure an idempotent producer may not continue."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()


class ExclusiveKafkaProducer:
    """See `ExclusiveProducer`. The broker fences all but the last one that took over an identity."""

    def __init__(self, connection: KafkaConnection, identity: str) -> None:
        """`identity` is Kafka's transactional id."""
        self._connection = connection
        self._identity = identity
        self._producer: AIOKafkaProducer | None = None

    async def take_over(self) -> None:
        """Fence predecessors, settle their transactions. Raises what `diagnose` finds."""
        await self.stop()
        self._producer = _producer(self._connection, transactional_id=self._identity)
        try:
            await asyncio.wait_for(self._producer.start(), _TAKE_OVER_SECONDS)
        except (KafkaError, TimeoutError) as error:
            await self.stop()
            doing = f"transactions as {self._identity}"
            raise await diagnose(self._connection, error, doing) from error

    async def stop(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def send(self, events: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        """Publish events in order, in one transaction."""
        if self._producer is None:
            raise Fenced(Code.PUBLISH_FAILED, f"{self._identity} has not taken over")
        try:
            return await self._commit(self._producer, events)
        except ProducerFenced as error:
            await self.stop()
            raise Fenced(Code.PUBLISH_FAILED, f"a successor of {self._identity}") from error
        except (KafkaError, IllegalOperation) as error:
            await self.stop()
            raise NotReady(Code.PUBLISH_FAILED, repr(error)) from error

    async def _commit(
        self, producer: AIOKafkaProducer, events: Sequence[Outgoing]
    ) -> dict[tuple[str, int], int]:
        await producer.begin_transaction()
        pending = []
        for event in events:
            value, headers = message(event)
            key = event.key.encode()
            pending.append(await producer.send(event.topic, value=value, key=key, headers=headers))
        written = await asyncio.gather(*pending)
        await producer.commit_transaction()
        return _next_offsets(written)


def _failed(error: KafkaError, detail: str) -> NotReady:
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return TooLarge(Code.PUBLISH_FAILED, detail)
    if isinstance(error, InvalidTimestampError):
        return BadTimestamp(Code.PUBLISH_FAILED, detail)
    return NotReady(Code.PUBLISH_FAILED, detail)


def _key(record: Raw) -> bytes | None:
    """The record's key, or an empty one where there is no value either."""
    return b"" if record.key is None and record.value is None else record.key


def _producer(connection: KafkaConnection, **more: Any) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **connection.options(),
        enable_idempotence=True,
        acks="all",
        linger_ms=2,
        max_request_size=_MAX_REQUEST,
        request_timeout_ms=10_000,
        **more,
    )


def _next_offsets(written: Sequence[Any]) -> dict[tuple[str, int], int]:
    offsets: dict[tuple[str, int], int] = {}
    for record in written:
        key = (record.topic, record.partition)
        offsets[key] = max(offsets.get(key, 0), record.offset + 1)
    return offsets
