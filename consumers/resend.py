"""Dead letters put back to where they came from, mended or not."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from consumers.dead_letters import original
from consumers.letter_box import LetterBox
from producers.port import Producer, Raw
from schemas.envelope import Limits, decode
from schemas.errors import Code, InvalidEvent, Unrecoverable
from schemas.letters import Letter
from schemas.records import Record
from stores.artifacts.objects import ObjectFolder

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """A record that was put back. `problem` is why it would die again, None where it can be read.

    `partition` is None where the topic no longer has the one from which it came.
    """

    id: str
    topic: str
    partition: int | None
    size: int
    problem: str | None


class Resend:
    """Publishes records as they came, with a header that says which letter each replaces.

    They go to the partition from which they came, where a repetition is noticed, and keep their
    timestamp: an event that states no time is as old as it was.
    """

    def __init__(
        self,
        box: LetterBox,
        producer: Producer,
        objects: Callable[[], ObjectFolder],
        limits: Limits,
    ) -> None:
        self._box = box
        self._producer = producer
        self._objects = objects
        self._limits = limits

    async def __call__(
        self, ids: Collection[str], value: bytes | None = None, *, dry_run: bool = False
    ) -> list[Sent]:
        """Put the letters of these ids back, each with `value` in place of its own if that is given.

        Raises Unrecoverable(NO_TOPIC, NO_SUCH_FILE or DIGEST_MISMATCH) and what the producer raises;
        then any of them may be back.
        """
        wanted, sent, waiting = set(ids), list[Sent](), list[Raw]()
        partitions = await self._box.partitions()
        async for letter in self._box.letters():
            if letter.id in wanted:
                raw = self._raw(letter, value, partitions)
                waiting.append(raw)
                sent.append(self._sent(letter, raw))
            if len(waiting) == _BATCH:
                await self._send(waiting, dry_run=dry_run)
        await self._send(waiting, dry_run=dry_run)
        return sent

    async def _send(self, waiting: list[Raw], *, dry_run: bool) -> None:
        if waiting and not dry_run:
            await self._producer.send_raw(waiting)
        waiting.clear()

    def _raw(self, letter: Letter, value: bytes | None, partitions: dict[str, set[int]]) -> Raw:
        key, came, headers = original(letter, self._objects)
        known = partitions.get(letter.topic)
        if known is None:
            raise Unrecoverable(Code.NO_TOPIC, letter.topic)
        return Raw(
            topic=letter.topic,
            key=key,
            value=came if value is None else value,
            headers=letter.again(headers),
            timestamp=letter.timestamp,
            partition=letter.partition if letter.partition in known else None,
        )

    def _sent(self, letter: Letter, raw: Raw) -> Sent:
        record = Record(
            raw.topic, letter.partition, 0, letter.timestamp, raw.key, raw.value, tuple(raw.headers)
        )
        problem: str | None = None
        try:
            decode(record, self._limits)
        except InvalidEvent as error:
            problem = f"{error.code.number} {error.what}"
        return Sent(letter.id, raw.topic, raw.partition, len(raw.value or b""), problem)
