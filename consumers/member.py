"""A member of the consumer group that ingest is: how it is set up, and what it hears of rebalances."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import ConsumerRebalanceListener, TopicPartition

from consumers.assignor import FairStickyAssignor
from consumers.lenient_headers import LenientConsumer
from consumers.settings import IngestSettings
from producers.connection import KafkaConnection

_METADATA_MS = 5_000
"""How soon new partitions, and topics deleted and made again, are noticed; aiokafka's own is 5 minutes."""
_LEAVE_SECONDS = 4.0


def build_consumer(connection: KafkaConnection, settings: IngestSettings) -> LenientConsumer:
    """An aiokafka consumer that commits and resets nothing by itself."""
    # The assignor keeps what it assigned last in its class: one class a member.
    sticky = type("Assignor", (FairStickyAssignor,), {})
    return LenientConsumer(
        **connection.options(),
        group_id=settings.group,
        group_instance_id=settings.member_id,
        partition_assignment_strategy=(sticky,),
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_ms,
        metadata_max_age_ms=_METADATA_MS,
    )


async def start(consumer: LenientConsumer, stop: asyncio.Event) -> bool:
    """Connect; False if told to stop meanwhile. Raises aiokafka's KafkaError."""
    starting = asyncio.ensure_future(consumer.start())
    told = asyncio.ensure_future(stop.wait())
    await asyncio.wait([starting, told], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        return False
    starting.result()
    return True


async def leave(consumer: LenientConsumer) -> None:
    """Leave the group, as far as the broker answers in time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(consumer.stop(), _LEAVE_SECONDS)


class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands rebalances on. aiokafka logs what a listener raises and goes on; ingest must not."""

    def __init__(
        self,
        revoked: Callable[[], Awaitable[None]],
        assigned: Callable[[Iterable[TopicPartition]], Awaitable[None]],
        fail: Callable[[Exception], None],
    ) -> None:
        """`fail` is told what the others raise."""
        self._revoked = revoked
        self._assigned = assigned
        self._fail = fail

    async def on_partitions_revoked(self, _revoked: Iterable[TopicPartition]) -> None:
        """All partitions go, the eager way."""
        try:
            await self._revoked()
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._fail(error)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """These partitions, and no others, are this member's."""
        try:
            await self._assigned(assigned)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._fail(error)
