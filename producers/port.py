"""What Lorikeet needs of a place that takes events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from schemas.errors import NotReady


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One event to publish. `key` keeps the order of what belongs together.

    Without a `time` the event states none, and its readers take Kafka's.
    """

    topic: str
    key: str
    id: str
    source: str
    type: str
    time: datetime | None
    data: dict[str, Any]
    subject: str | None = None
    extensions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One record to publish byte for byte; `timestamp` in milliseconds.

    Without a `partition` the key decides.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int | None = None
    partition: int | None = None


class Producer(Protocol):
    """Publishes in order and returns when all of it is acknowledged by every replica in sync.

    Raises NotReady(PUBLISH_FAILED) if that cannot be had now; then any prefix may be published.
    """

    async def send(self, events: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        """Publish events; the next offset of each (topic, partition) that took one."""

    async def send_raw(self, records: Sequence[Raw]) -> None:
        """Publish records as they are. Raises TooLarge and BadTimestamp as well."""


class TooLarge(NotReady):
    """One of the records is larger than its topic takes; some of the others may be published."""


class BadTimestamp(NotReady):
    """The topic takes no record of that time; some of the others may be published."""


class Fenced(NotReady):
    """A successor took over: nothing was published. Take over again to go on."""


class ExclusiveProducer(Protocol):
    """A producer of which one works at a time, however late the others wake up."""

    async def take_over(self) -> None:
        """From here on only this one publishes; what a predecessor left half done is undone.

        What a predecessor published can be read when this returns. Raises NotReady(NO_BROKER).
        """

    async def send(self, events: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        """Publish all events in order, or none; the next offset of each (topic, partition).

        Raises Fenced, or NotReady(PUBLISH_FAILED): then it is unknown, and one has to take over anew.
        """
