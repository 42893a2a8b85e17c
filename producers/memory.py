"""Publishing to a list, for unit tests and for looking before sending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from producers.encode import message
from producers.port import Outgoing, Raw


class MemoryProducer:
    """See `Producer`. Keeps what was published, encoded as Kafka would get it."""

    def __init__(self) -> None:
        self.events: list[Outgoing] = []
        self.records: list[Raw] = []

    async def send(self, events: Sequence[Outgoing]) -> dict[tuple[str, int], int]:
        """Keep events in order, on partition 0 of their topic."""
        for event in events:
            value, headers = message(event)
            self.events.append(event)
            self.records.append(
                Raw(topic=event.topic, key=event.key.encode(), value=value, headers=headers)
            )
        counts = Counter(record.topic for record in self.records)
        return {(event.topic, 0): counts[event.topic] for event in events}

    async def send_raw(self, records: Sequence[Raw]) -> None:
        """Keep records as they are."""
        self.records.extend(records)
