"""What flows in while things are killed, and what of it really lies in the topic at the end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from benchmarks.events import event

PARTITIONS = 4
_BATCH = 50
_OUTAGE_MS = 180_000  # longer than any outage: a batch is sent until it is acknowledged
_TRANSACTION, _TRANSACTIONS = 20, 10


def message(number: int) -> tuple[int, bytes]:
    """(partition, value): one in 50 is broken, one in 40 repeats its predecessor there."""
    original = number - 1 if number % 40 == 11 else number
    value = b"{not json" if number % 50 == 7 else event(original)
    return original // 3 % PARTITIONS, value


class Traffic(threading.Thread):
    """Publishes numbered events at a steady rate, the last tenth of them ten times slower, and what
    is left as fast as it can once it is told to hurry.

    The first few go out in transactions, every second one followed by one that is aborted: markers
    and records that nobody may receive lie between the others. `ends` is what was acknowledged.
    """

    def __init__(self, bootstrap: str, topic: str, total: int, rate: float) -> None:
        super().__init__(daemon=True)
        self._broker = bootstrap
        self._topic = topic
        self._total = total
        self._rate = rate
        self.sent = 0
        self.ends: dict[int, int] = {}
        self.hurry = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._publish())
        except BaseException as error:
            self.failure = error
            raise

    async def _publish(self) -> None:
        await self._in_transactions()
        producer = AIOKafkaProducer(
            bootstrap_servers=self._broker, enable_idempotence=True, request_timeout_ms=_OUTAGE_MS
        )
        await producer.start()
        try:
            while self.sent < self._total:
                size = min(_BATCH, self._total - self.sent)
                await self._send(producer, range(self.sent, self.sent + size))
                if not self.hurry.is_set():
                    slowly = 10 if self.sent > 0.9 * self._total else 1
                    await asyncio.sleep(slowly * size / self._rate)
        finally:
            await producer.stop()

    async def _in_transactions(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._broker, transactional_id=f"{self._topic}-traffic"
        )
        await producer.start()
        try:
            for number in range(_TRANSACTIONS):
                async with producer.transaction():
                    await self._send(producer, range(self.sent, self.sent + _TRANSACTION))
                if number % 2:
                    await self._abort(producer)
        finally:
            await producer.stop()

    async def _abort(self, producer: AIOKafkaProducer) -> None:
        await producer.begin_transaction()
        for partition in range(PARTITIONS):
            await producer.send_and_wait(self._topic, b"{aborted", partition=partition)
        await producer.abort_transaction()

    async def _send(self, producer: AIOKafkaProducer, numbers: range) -> None:
        """One batch, to its last acknowledgement."""
        pending = []
        for number in numbers:
            partition, value = message(number)
            pending.append(await producer.send(self._topic, value, partition=partition))
        for done in await asyncio.gather(*pending):
            self.ends[done.partition] = max(self.ends.get(done.partition, 0), done.offset + 1)
        self.sent += len(numbers)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a read_committed consumer receives: (partition, offset) → id, None where it is broken."""

    received: dict[tuple[int, int], str | None]

    def expected(self) -> dict[tuple[int, int], str]:
        """By a rule of its own: broken → dead_letter, seen before in the partition → duplicate."""
        seen: set[tuple[int, str]] = set()
        found: dict[tuple[int, int], str] = {}
        for place, name in sorted(self.received.items(), key=lambda item: item[0]):
            if name is None:
                found[place] = "dead_letter"
            else:
                found[place] = "duplicate" if (place[0], name) in seen else "kept"
                seen.add((place[0], name))
        return found

    def counts(self) -> Counter[str]:
        """How many of each are to be expected."""
        return Counter(self.expected().values())


async def truth(bootstrap: str, topic: str) -> Truth:
    """Read the topic to its end."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    received: dict[tuple[int, int], str | None] = {}
    try:
        partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    received[record.partition, record.offset] = _id(record.value)
    finally:
        await consumer.stop()
    return Truth(received)


def _id(value: bytes) -> str | None:
    try:
        return str(json.loads(value)["id"])
    except ValueError:
        return None
