"""A partition's log batch by batch: which offsets hold data, and why the others do not.

aiokafka's consumer hands out records and hides the rest. Here its own requests and record classes are
used one layer lower: a fetch in read_committed isolation answers with whole batches and the list of
aborted transactions, from which every offset gets its kind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.control_record import ABORT_MARKER, ControlRecord

from consumers.lenient_headers import UNREADABLE, Batches
from producers.connection import KafkaConnection
from producers.diagnose import diagnose
from schemas.errors import Code, Unrecoverable
from schemas.records import Record, TopicPartition

_UNCOMMITTED, _COMMITTED = 0, 1
_LATEST, _EARLIEST = -1, -2
_FETCH_BYTES = 4 * 1024 * 1024
_FETCH_WAIT_MS = 200
_PATIENCE_SECONDS = 30.0
_RETRY_SECONDS = 0.2
_EMPTY_ANSWERS = 3
"""Fetches that answer nothing below the end before the rest counts as removed."""


class Kind(StrEnum):
    """What an offset of a log holds."""

    DATA = "data"
    MARKER = "marker"
    """The end of a transaction."""
    ABORTED = "aborted"
    """Data of a transaction that was aborted."""
    HOLE = "hole"
    """Nothing any more: removed by log compaction."""
    EXPIRED = "expired"
    """Nothing any more: below the log's beginning, which rose during the walk."""


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets from `first` up to, not including, `end`; one record each where they hold data."""

    kind: Kind
    first: int
    end: int
    records: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class LogEnds:
    """A partition's first offset, and the next one: as read_committed sees it, and of all records."""

    first: int
    stable: int
    end: int


class LogReader:
    """Reads partitions below the consumer: no group, no position of its own."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._client: Any = None

    async def __aenter__(self) -> Self:
        """Connect. Raises what `diagnose` finds."""
        self._client = AIOKafkaClient(**self._connection.options())
        try:
            await self._client.bootstrap()
        except errors.KafkaError as error:
            await self._client.close()
            raise await diagnose(self._connection, error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect."""
        await self._client.close()

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """A topic's partitions. Raises Unrecoverable(NO_TOPIC), or what `diagnose` finds."""
        try:
            cluster = await self._client.fetch_all_metadata()
        except errors.KafkaError as error:
            raise await diagnose(self._connection, error) from error
        known = cluster.partitions_for_topic(topic)
        if not known:
            raise Unrecoverable(Code.NO_TOPIC, topic)
        return [TopicPartition(topic, number) for number in sorted(known)]

    async def bounds(self, tp: TopicPartition) -> LogEnds:
        """Where a partition begins and ends now."""
        return LogEnds(
            await self._offset(tp, _EARLIEST, _COMMITTED),
            await self._offset(tp, _LATEST, _COMMITTED),
            await self._offset(tp, _LATEST, _UNCOMMITTED),
        )

    async def walk(self, tp: TopicPartition, first: int, until: int) -> AsyncIterator[Span]:
        """Every offset in [first, until) exactly once, in order.

        `until` is at most the stable end. One answer's batches are held, not the log. Raises
        Unrecoverable(OFFSET_OUT_OF_RANGE) above the end, CORRUPT_BATCH, or what `diagnose` finds.
        """
        position, empty = first, 0
        while position < until:
            try:
                data, aborted = await self._fetch(tp, position)
            except errors.OffsetOutOfRangeError:
                yield await self._expired(tp, position, until)
                position = min((await self.bounds(tp)).first, until)
                continue
            for span in _spans(tp, data, aborted, position, until):
                yield span
                position, empty = span.end, 0
            empty = 0 if data else empty + 1
            if empty >= _EMPTY_ANSWERS:  # the log's tail was compacted away
                yield Span(Kind.HOLE, position, until)
                position = until

    async def _expired(self, tp: TopicPartition, position: int, until: int) -> Span:
        bounds = await self.bounds(tp)
        if bounds.first <= position:
            detail = f"{tp.topic}[{tp.partition}] at {position}, its log ends at {bounds.end}"
            raise Unrecoverable(Code.OFFSET_OUT_OF_RANGE, detail)
        return Span(Kind.EXPIRED, position, min(bounds.first, until))

    async def _fetch(self, tp: TopicPartition, offset: int) -> tuple[bytes, Sequence[Any]]:
        """(batches, aborted transactions as (producer, first offset)) from the batch of an offset on."""
        partitions = [(tp.partition, offset, _FETCH_BYTES)]
        request = FetchRequest(
            _FETCH_WAIT_MS, 1, _FETCH_BYTES, _COMMITTED, [(tp.topic, partitions)]
        )
        version, found = await self._ask(tp, request)
        # highwater, last stable offset, (since version 5) log start, aborted, …, batches
        return found[-1], found[3 if version >= 5 else 2] or ()  # noqa: PLR2004 - a protocol version

    async def _offset(self, tp: TopicPartition, which: int, isolation: int) -> int:
        request = OffsetRequest(-1, isolation, [(tp.topic, [(tp.partition, which)])])
        _, found = await self._ask(tp, request)
        return int(found[1])

    async def _ask(self, tp: TopicPartition, request: Any) -> tuple[int, Sequence[Any]]:
        """(protocol version, what the partition's leader answers after its error code)."""
        await self._client.add_topic(tp.topic)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return await self._ask_once(tp, request)
            except errors.OffsetOutOfRangeError:
                raise
            except errors.KafkaError as error:
                if not error.retriable or time.monotonic() > deadline:
                    doing = f"reading {tp.topic}"
                    raise await diagnose(self._connection, error, doing) from error
            await asyncio.sleep(_RETRY_SECONDS)
            await self._client.force_metadata_update()

    async def _ask_once(self, tp: TopicPartition, request: Any) -> tuple[int, Sequence[Any]]:
        leader = self._client.cluster.leader_for_partition(tp)
        if leader is None or leader < 0:
            raise errors.LeaderNotAvailableError(tp)
        response = await self._client.send(leader, request)
        ((_, ((_, code, *found),)),) = response.topics
        if code:
            raise errors.for_code(code)(tp)
        return response.API_VERSION, found


def _spans(
    tp: TopicPartition, data: bytes, aborted: Iterable[tuple[int, int]], position: int, until: int
) -> Iterator[Span]:
    """The spans of one answer, from `position` up to its last whole batch or `until`."""
    waiting = sorted(aborted, key=lambda one: one[1], reverse=True)
    producers: set[int] = set()
    batches = Batches(data)
    while batches.has_next() and position < until:
        batch = batches.next_batch()
        if not batch.validate_crc():
            raise Unrecoverable(Code.CORRUPT_BATCH, f"{tp.topic}[{tp.partition}] at {position}")
        end = min(batch.next_offset, until)
        if end <= position:
            continue
        while waiting and waiting[-1][1] <= batch.next_offset - 1:
            producers.add(waiting.pop()[0])
        kind = _kind(batch, producers)
        records: Sequence[Record] = ()
        if kind is Kind.DATA:
            records = _records(tp, batches, batch, position, end)
        start = position
        if kind is not Kind.DATA:  # a data batch's own holes are found by its records
            start = min(max(batch.base_offset, position), end)
            if start > position:
                yield Span(Kind.HOLE, position, start)
        yield from _runs(records, start, end) if kind is Kind.DATA else [Span(kind, start, end)]
        position = end


def _kind(batch: Any, aborted: set[int]) -> Kind:
    if batch.is_control_batch:
        control = next(iter(batch), None)
        if control is None:  # compaction may keep an empty batch for its producer's sequence
            return Kind.HOLE
        if ControlRecord.parse(control.key) == ABORT_MARKER:
            aborted.discard(batch.producer_id)
        return Kind.MARKER
    return Kind.ABORTED if batch.is_transactional and batch.producer_id in aborted else Kind.DATA


def _runs(records: Sequence[Record], first: int, end: int) -> Iterator[Span]:
    """Data, and the holes between and around it."""
    begun = 0
    for number, record in enumerate(records):
        if record.offset == first:
            first += 1
            continue
        if number > begun:
            yield Span(Kind.DATA, first - (number - begun), first, records[begun:number])
        yield Span(Kind.HOLE, first, record.offset)
        first, begun = record.offset + 1, number
    if len(records) > begun:
        yield Span(Kind.DATA, first - (len(records) - begun), first, records[begun:])
    if first < end:
        yield Span(Kind.HOLE, first, end)


def _records(
    tp: TopicPartition, batches: Batches, batch: Any, first: int, end: int
) -> list[Record]:
    try:
        return _parsed(tp, batch, first, end)
    except UNREADABLE:
        return _parsed(tp, batches.lenient(batch.base_offset).next_batch(), first, end)


def _parsed(tp: TopicPartition, batch: Any, first: int, end: int) -> list[Record]:
    return [
        Record(tp.topic, tp.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
        for r in batch
        if first <= r.offset < end
    ]
