"""A stored offset outside the log stops its partition alone, until the gap is accepted, on record."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from consumers.kafka import cluster_id, create_topics, input_topics
from operations.stop_partitions import StopPartitions
from producers.connection import KafkaConnection
from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition
from schemas.rows import Row
from stores.control.database import Database
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.consumers_support import (
    QUICK,
    built,
    ingest,
    loop_of,
    publish,
    rows_of,
    structured,
)
from tests.support import execution, row

pytestmark = pytest.mark.kafka


def events(count: int) -> list[Any]:
    return [structured("execution.completed", execution()) for _ in range(count)]


async def stored(ledger: Path, broker: str, places: Sequence[TopicPartition], offset: int) -> None:
    """A ledger that has read each of these partitions up to `offset`, of which it kept one row."""
    cluster = await cluster_id(KafkaConnection(broker))
    writer = DeltaLedgerWriter(ledger, cluster)
    writer.claim(places)
    last = [
        row(offset - 1, topic=tp.topic, partition=tp.partition, cluster=cluster) for tp in places
    ]
    writer.append(last, dict.fromkeys(places, offset))


async def shorten(broker: str, place: TopicPartition, before: int) -> None:
    """What retention does to a log."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.delete_records({KafkaPartition(*place): RecordsToDelete(before_offset=before)})
    await admin.close()


def stops_of(ledger: Path) -> StopPartitions:
    return StopPartitions(Database(f"sqlite:///{ledger}-control.db"))


async def stopped(ledger: Path) -> None:
    while True:
        await asyncio.sleep(0.1)
        if stops_of(ledger).keys():
            return


def places(rows: list[Row]) -> list[tuple[int, int]]:
    return [(found.partition, found.offset) for found in rows]


def test_the_others_are_read_on(tmp_path: Path, broker: str, prefix: str) -> None:
    topic = f"{prefix}execution.completed"
    lost = TopicPartition(topic, 0)

    async def main() -> list[Row]:
        await publish(broker, topic, events(5), 0)
        await publish(broker, topic, events(3), 1)
        await stored(tmp_path, broker, [lost], 2)
        await shorten(broker, lost, 4)
        return await ingest(broker, prefix, tmp_path, 4)

    assert places(asyncio.run(main())) == [(0, 1), (1, 0), (1, 1), (1, 2)]
    (key,) = stops_of(tmp_path).keys()
    assert key.endswith("execution.completed:0")


def test_with_none_left_it_ends_with_a_code(tmp_path: Path, broker: str, prefix: str) -> None:
    every = [TopicPartition(topic, n) for topic in input_topics(prefix) for n in range(2)]

    async def main() -> None:
        await stored(tmp_path, broker, every, 100)
        await asyncio.wait_for(ingest(broker, prefix, tmp_path, 10**6), 30)

    with pytest.raises(Unrecoverable) as caught:
        asyncio.run(main())
    assert caught.value.code is Code.OFFSET_OUT_OF_RANGE
    assert "execution.completed[0] at 100" in caught.value.detail


def test_a_topic_made_anew_stays_stopped_though_it_grows_past_the_stored_offset(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    topic = f"{prefix}execution.completed"
    anew = TopicPartition(topic, 0)

    async def main() -> list[Row]:
        await publish(broker, topic, events(2), 1)
        await stored(tmp_path, broker, [anew], 5)
        await ingest(broker, prefix, tmp_path, 3)
        await publish(broker, topic, events(8), 0)
        await publish(broker, topic, events(1), 1)
        return await ingest(broker, prefix, tmp_path, 4)

    assert places(asyncio.run(main())) == [(0, 4), (1, 0), (1, 1), (1, 2)]


def test_a_topic_made_anew_while_nobody_read_is_noticed_by_its_records(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """It has grown past the stored offset: the offset alone tells nothing."""
    topic = f"{prefix}execution.completed"

    async def main() -> list[list[Row]]:
        await publish(broker, topic, events(4))
        # The second time the log is still the same.
        found = [await ingest(broker, prefix, tmp_path, 4) for _ in range(2)]
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_topics([topic])
        await admin.close()
        await asyncio.sleep(1)
        await create_topics(KafkaConnection(broker), prefix, 2)
        await publish(broker, topic, events(9))
        await publish(broker, topic, events(1), 1)
        return [*found, await ingest(broker, prefix, tmp_path, 5)]

    first, second, third = asyncio.run(main())
    assert places(first) == places(second) == [(0, n) for n in range(4)]
    assert places(third) == [*places(first), (1, 0)]
    assert len(stops_of(tmp_path).keys()) == 1


def test_a_topic_made_anew_during_a_nap_is_noticed(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """The process is held up while the topic is deleted, made again and filled past its position."""
    topic = f"{prefix}execution.completed"

    async def make_anew() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_topics([topic])
        while not await create_topics(KafkaConnection(broker), prefix, 2):  # noqa: ASYNC110 - Kafka
            await asyncio.sleep(0.05)
        await admin.close()
        await publish(broker, topic, events(9))
        await asyncio.sleep(0.5)

    async def main() -> list[Row]:
        await publish(broker, topic, events(4))
        loop, stop = await built(broker, prefix, tmp_path), asyncio.Event()
        running = asyncio.create_task(loop.run(stop))
        await rows_of(tmp_path, 4)
        await asyncio.sleep(0.5)
        meanwhile = threading.Thread(target=asyncio.run, args=(make_anew(),))
        meanwhile.start()
        meanwhile.join()  # the loop sleeps
        await asyncio.wait_for(stopped(tmp_path), 20)
        stop.set()
        await running
        return list(DeltaLedgerReader(tmp_path).rows())

    assert len(asyncio.run(main())) == 4


def test_a_nap_after_all_that_was_read_has_expired_stops_nothing(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    topic = f"{prefix}execution.completed"

    async def main() -> list[Row]:
        await publish(broker, topic, events(4))
        loop, stop = await built(broker, prefix, tmp_path), asyncio.Event()
        running = asyncio.create_task(loop.run(stop))
        await rows_of(tmp_path, 4)
        await shorten(broker, TopicPartition(topic, 0), 4)
        time.sleep(0.6)  # noqa: ASYNC251 - the loop sleeps
        await asyncio.sleep(1)
        await publish(broker, topic, events(2))
        rows = await rows_of(tmp_path, 6)
        stop.set()
        await running
        return rows

    assert sorted(row.offset for row in asyncio.run(main())) == list(range(6))
    assert stops_of(tmp_path).keys() == set()


def test_a_partition_that_loses_records_before_its_first_row_stops_as_well(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    topic = f"{prefix}execution.completed"

    async def main() -> dict[str, int]:
        await ingest(broker, prefix, tmp_path, 0)
        await publish(broker, topic, events(5))
        await shorten(broker, TopicPartition(topic, 0), 3)
        await publish(broker, topic, events(1), 1)
        await ingest(broker, prefix, tmp_path, 1)
        return DeltaLedgerReader(tmp_path).offsets()

    offsets = asyncio.run(main())
    assert sorted(offsets.values()) == [*[0] * 9, 1], "each partition begins on record"
    (key,) = stops_of(tmp_path).keys()
    assert key.endswith("execution.completed:0")


@pytest.mark.parametrize("reason", ["expired", "made anew"])
def test_an_accepted_gap_is_read_past_while_ingest_runs(
    tmp_path: Path, broker: str, prefix: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = reason == "made anew"
    monkeypatch.setattr("consumers.ingest._LOOK_SECONDS", 0.2)
    topic = f"{prefix}execution.completed"
    place = TopicPartition(topic, 0)

    async def main() -> list[Row]:
        cluster = await cluster_id(KafkaConnection(broker))
        await publish(broker, topic, events(5), 0)
        await stored(tmp_path, broker, [place], 9 if anew else 2)
        if not anew:
            await shorten(broker, place, 3)
        loop, stop = loop_of(broker, prefix, tmp_path, cluster, QUICK), asyncio.Event()
        running = asyncio.create_task(loop.run(stop))
        await asyncio.wait_for(stopped(tmp_path), 20)
        writer = DeltaLedgerWriter(tmp_path, cluster)
        writer.claim([place])
        note = {"accepted_by": "user:ann", "reason": "known"}
        writer.accept_gap(place, 0 if anew else 3, anew=anew, note=note)
        for _ in range(100):
            await asyncio.sleep(0.1)
            if len(list(DeltaLedgerReader(tmp_path).rows())) == (6 if anew else 3):
                break
        stop.set()
        await running
        return sorted(DeltaLedgerReader(tmp_path).rows(), key=lambda r: (r.incarnation, r.offset))

    rows = asyncio.run(main())
    wanted = [(0, 8), *((1, n) for n in range(5))] if anew else [(0, 1), (0, 3), (0, 4)]
    assert [(found.incarnation, found.offset) for found in rows] == wanted
    assert stops_of(tmp_path).keys() == set()
