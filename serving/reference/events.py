"""What the gateway says on Kafka: what it did with adapters, and what a shadow answered."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from cloudevents.core.bindings.kafka import to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

_BACKLOG = 10_000


class GatewayEvents:
    """Publishes in the background; serving never waits for Kafka, and never stops without it."""

    def __init__(self, bootstrap: str | None, gateway: str, prefix: str) -> None:
        self._bootstrap = bootstrap
        self._gateway = gateway
        self._prefix = prefix
        self._queue: asyncio.Queue[tuple[str, str, dict[str, Any]]] = asyncio.Queue(_BACKLOG)

    def adapter(self, tenant: str, model: str, name: str, digest: str | None, state: str) -> None:
        """`gateway.adapter`: activated, failed or unloaded."""
        data = {
            "gateway_id": self._gateway,
            "tenant_id": tenant,
            "model": model,
            "adapter": name,
            "adapter_digest": digest,
            "state": state,
        }
        self._put("gateway.adapter", f"{tenant}/{model}", data)

    def shadow(self, session: str, data: dict[str, Any]) -> None:
        """`execution.completed` of a mirrored completion, arm `shadow`."""
        self._put("execution.completed", session, {"agent_id": self._gateway, **data})

    def _put(self, kind: str, key: str, data: dict[str, Any]) -> None:
        if self._bootstrap:
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait((kind, key, data))

    async def run(self) -> None:
        """Publish until cancelled, then what is left for a second at most."""
        if not self._bootstrap:
            return
        producer = await self._connect()
        try:
            while True:
                await self._send(producer, *await self._queue.get())
        finally:
            await asyncio.wait_for(producer.stop(), timeout=1.0)

    async def _connect(self) -> AIOKafkaProducer:
        while True:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap, enable_idempotence=True, linger_ms=5
            )
            try:
                await producer.start()
            except KafkaError:
                await producer.stop()
                await asyncio.sleep(1.0)
            else:
                return producer

    async def _send(
        self, producer: AIOKafkaProducer, kind: str, key: str, data: dict[str, Any]
    ) -> None:
        event = CloudEvent(
            {
                "id": str(uuid.uuid4()),
                "source": f"urn:lorikeet:gateway:{self._gateway}",
                "type": kind,
                "specversion": "1.0",
                "time": datetime.now(UTC),
                "datacontenttype": "application/json",
            },
            data,
        )
        message = to_binary(event, JSONFormat())
        with contextlib.suppress(KafkaError):
            await producer.send(
                f"{self._prefix}{kind}",
                value=message.value,
                key=key.encode(),
                headers=list(message.headers.items()),
            )
