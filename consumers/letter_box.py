"""Reading the dead letter topic from its first record to its last of now."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from consumers.lenient_headers import LenientConsumer, record_of
from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from schemas.errors import Code, Unrecoverable
from schemas.events import DEAD_LETTER_TOPIC
from schemas.letters import Letter
from schemas.records import Record


class LetterBox:
    """The dead letters of one installation, oldest first; each once, though it may lie there twice."""

    def __init__(self, connection: KafkaConnection, prefix: str) -> None:
        self._connection = connection
        self._topic = f"{prefix}{DEAD_LETTER_TOPIC}"

    async def newest(self, wanted: Callable[[Letter], bool], limit: int) -> list[Letter]:
        """The last `limit` letters that are wanted; the whole topic is read for them."""
        found: deque[Letter] = deque(maxlen=limit)
        async for letter in self.letters():
            if wanted(letter):
                found.append(letter)
        return list(found)

    async def named(self, ids: Iterable[str]) -> list[Letter]:
        """The letters of these ids, whole or without the cluster, in their order.

        Raises Unrecoverable(NO_SUCH_LETTER) for an id that none has, or more than one.
        """
        asked = list(dict.fromkeys(ids))
        found: dict[str, list[Letter]] = {name: [] for name in asked}
        async for letter in self.letters():
            for name in {letter.id, letter.short_id} & found.keys():
                found[name].append(letter)
        for name, letters in found.items():
            if not letters:
                raise Unrecoverable(Code.NO_SUCH_LETTER, f"{name} on {self._topic}")
            if len(letters) > 1:
                both = " and ".join(letter.id for letter in letters)
                raise Unrecoverable(Code.NO_SUCH_LETTER, f"{name} may be {both}")
        return [found[name][0] for name in asked]

    async def of_code(self, code: str) -> list[str]:
        """The ids of an error code's letters, but for those sent again that died again as another."""
        found: dict[str, None] = {}
        replaced: set[str] = set()
        async for letter in self.letters():
            if letter.code == code:
                found[letter.id] = None
            replaced.add(letter.replaces or "")
        return [name for name in found if name not in replaced]

    async def partitions(self) -> dict[str, set[int]]:
        """The partitions of every topic of the cluster. Raises NotReady(NO_BROKER)."""
        admin = AIOKafkaAdminClient(**self._connection.options(), request_timeout_ms=10_000)
        try:
            await admin.start()
            topics = await admin.describe_topics()
        except KafkaError as error:
            raise await diagnose(self._connection, error) from error
        finally:
            await admin.close()
        return {topic["topic"]: {p["partition"] for p in topic["partitions"]} for topic in topics}

    async def letters(self) -> AsyncIterator[Letter]:
        """All that lies there now. Raises Unrecoverable(NO_TOPIC), NotReady(NO_BROKER)."""
        numbers = (await self.partitions()).get(self._topic)
        if numbers is None:
            raise Unrecoverable(Code.NO_TOPIC, self._topic)
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        seen: set[str] = set()
        async with self._reading() as consumer:
            consumer.assign(partitions)
            async for record in _until_now(consumer, partitions):
                letter = Letter.of(record)
                if letter is not None and letter.id not in seen:
                    seen.add(letter.id)
                    yield letter

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[LenientConsumer]:
        consumer = LenientConsumer(
            **self._connection.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=32 * 1024 * 1024,
        )
        try:
            await consumer.start()
            yield consumer
        except KafkaError as error:
            raise await diagnose(self._connection, error) from error
        finally:
            await consumer.stop()


async def _until_now(
    consumer: LenientConsumer, partitions: Sequence[TopicPartition]
) -> AsyncIterator[Record]:
    """What lies on the partitions at the moment of the call."""
    ends = await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(*partitions)
    while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
        for records in (await consumer.getmany(timeout_ms=200, max_records=100)).values():
            for record in records:
                yield record_of(record)
