"""Publish what the outbox holds: each event once, in the order in which it was decided.

Steps, in order; a crash after any of them loses nothing and doubles nothing:

    1 lease      one relay at a time; a successor waits until the old lease has ended
    2 recover    take the producer over: whoever relayed before can publish no more; then read the
                 topic from the last confirmed position and mark what is already there
    3 send       in one Kafka transaction, which fails if somebody else took over since
    4 mark       in the database, with the confirmed position, so that the next recovery is short

The lease keeps two relays from disturbing each other; that they double nothing is the broker's doing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from producers.port import ExclusiveProducer, Fenced, Outgoing
from schemas.telemetry import Meter, Metric
from stores.control import leases, outbox
from stores.control.database import Database
from stores.control.outbox import Pending

STEPS = ("leased", "recovered", "sent", "marked")
LEASE = "relay:outbox"
LEASE_SECONDS = 5.0
SOURCE = "urn:lorikeet:control"
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Published:
    """What lies on the output topic: event ids, and the next offset of each partition."""

    ids: frozenset[str]
    next_offsets: Mapping[int, int]


class PublishedEvents(Protocol):
    """Reads back what was published."""

    async def read(self, topic: str, since: Mapping[int, int]) -> Published:
        """Everything on a topic from the given positions (default: its start) to its end."""


class RelayOutbox:
    """One relay. `thread` runs database work in the process's one database thread."""

    def __init__(
        self,
        database: Database,
        producer: ExclusiveProducer,
        published: PublishedEvents,
        thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        owner: str,
        prefix: str,
        meter: Meter,
        fault: Callable[[str], None] = lambda _step: None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._database = database
        self._producer = producer
        self._published = published
        self._thread = thread
        self._owner = owner
        self._prefix = prefix
        self._meter = meter
        self._fault = fault
        self._lease_seconds = lease_seconds
        self._epoch: int | None = None

    async def __call__(self, clock: Callable[[], datetime]) -> int:
        """Publish what is pending; how many events were sent. 0 while another relay is at work.

        Raises NotReady if Kafka does not take them; they stay in the outbox.
        """
        epoch = await self._lease(clock())
        await self._measure(clock())
        if epoch is None:
            self._epoch = None
            return 0
        self._fault("leased")
        pending = await self._thread(lambda: self._database.read(_pending))
        if not pending:
            return 0
        if epoch != self._epoch:
            await self._recover(clock())
            pending = await self._thread(lambda: self._database.read(_pending))
        self._fault("recovered")
        self._epoch = None  # until it is marked: whatever goes wrong, recover before sending again
        try:
            await self._send(pending, clock)
        except Fenced:
            return 0
        self._epoch = epoch
        return len(pending)

    async def _lease(self, now: datetime) -> int | None:
        epoch: int | None = await self._thread(
            lambda: self._database.write(
                lambda c: leases.acquire(c, LEASE, self._owner, now, self._lease_seconds)
            )
        )
        return epoch

    async def _recover(self, now: datetime) -> None:
        """Fence predecessors, then mark what they have sent but not marked."""
        await self._producer.take_over()
        for topic in await self._thread(lambda: self._database.read(_topics)):
            since = await self._thread(partial(self._positions, topic))
            found = await self._published.read(f"{self._prefix}{topic}", since)
            await self._mark(topic, found.ids, found.next_offsets, now)

    def _positions(self, topic: str) -> dict[int, int]:
        return self._database.read(lambda c: outbox.positions(c, topic))

    async def _send(self, pending: list[Pending], clock: Callable[[], datetime]) -> None:
        offsets = await self._producer.send([self._event(item) for item in pending])
        self._fault("sent")
        by_topic: dict[str, dict[int, int]] = {}
        for (name, partition), offset in offsets.items():
            by_topic.setdefault(name.removeprefix(self._prefix), {})[partition] = offset
        now = clock()
        for topic, found in by_topic.items():
            ids = frozenset(item.id for item in pending if item.topic == topic)
            await self._mark(topic, ids, found, now)
        self._fault("marked")
        await self._measure(now)

    async def _mark(
        self, topic: str, ids: frozenset[str], offsets: Mapping[int, int], now: datetime
    ) -> None:
        def work(connection: Any) -> list[str]:
            marked = outbox.mark(connection, sorted(ids), now)
            outbox.confirm(connection, topic, offsets)
            return marked

        for kind in await self._thread(lambda: self._database.write(work)):
            self._meter.count(Metric.OUTBOX_PUBLISHED, type=kind)

    async def _measure(self, now: datetime) -> None:
        count, oldest = await self._thread(lambda: self._database.read(outbox.backlog))
        self._meter.set(Metric.OUTBOX_PENDING, count)
        age = (now - oldest).total_seconds() if oldest else 0.0
        self._meter.set(Metric.OUTBOX_AGE, max(age, 0.0))

    def _event(self, item: Pending) -> Outgoing:
        return Outgoing(
            topic=f"{self._prefix}{item.topic}",
            key=item.key,
            id=item.id,
            source=SOURCE,
            type=item.type,
            time=item.created_at,
            data=item.payload,
        )


def _pending(connection: Any) -> list[Pending]:
    return outbox.pending(connection, _BATCH)


def _topics(connection: Any) -> list[str]:
    return sorted({item.topic for item in outbox.pending(connection, 10_000)})
