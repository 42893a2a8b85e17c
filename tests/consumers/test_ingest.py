"""The ingest loop on a real broker: what it reads, what it refuses, where it goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from consumers.kafka import cluster_id, input_topics
from operations.ingest_batch import STEPS
from producers.connection import KafkaConnection
from schemas.events import DEAD_LETTER_TOPIC
from schemas.rows import Row
from stores.ledger.delta import DeltaLedgerReader
from tests.consumers_support import QUICK, Message, ingest, loop_of, publish, read_all, structured
from tests.support import edit, execution, plan

pytestmark = pytest.mark.kafka


def test_all_input_topics_become_rows(tmp_path: Path, broker: str, prefix: str) -> None:
    run = execution()

    async def main() -> list[Row]:
        for kind, data in (
            ("execution.completed", run),
            ("planning.completed", plan()),
            ("feedback.received", edit(run["execution_id"], [])),
            (
                "telemetry.sampled",
                {"agent_id": "a", "sampled_at": "2026-03-01T12:00:00Z", "cpu_usage": 0.5},
            ),
            (
                "gateway.adapter",
                {"gateway_id": "g", "model": "m", "adapter": "x", "state": "activated"},
            ),
        ):
            await publish(broker, f"{prefix}{kind}", [structured(kind, data)])
        return await ingest(broker, prefix, tmp_path, 5)

    rows = asyncio.run(main())
    assert {row.type for row in rows} == {
        topic.removeprefix(prefix) for topic in input_topics(prefix)
    }
    assert {str(row.disposition) for row in rows} == {"accepted"}
    assert all(row.cluster and row.tenant == "default" for row in rows)


def test_dead_letters_are_kept_byte_for_byte(tmp_path: Path, broker: str, prefix: str) -> None:
    topic = f"{prefix}execution.completed"
    bad: list[Message] = [
        (b"{not json \xff", [("x-custom", b"\x00\x01")]),
        (b"", ()),
        structured("execution.completed", execution(confidence=70)),
    ]

    async def main() -> tuple[list[Row], list[Any]]:
        await publish(broker, topic, [*bad, structured("execution.completed", execution())])
        rows = await ingest(broker, prefix, tmp_path, 4)
        return rows, await read_all(broker, f"{prefix}{DEAD_LETTER_TOPIC}", 3)

    rows, letters = asyncio.run(main())
    assert [str(row.disposition) for row in rows] == ["dead_letter"] * 3 + ["accepted"]
    assert [row.content for row in rows[:3]] == [None] * 3, "the ledger keeps no raw text"
    assert [letter.value for letter in letters] == [value for value, _ in bad]
    for letter, row in zip(letters, rows, strict=False):
        headers = dict(letter.headers)
        assert headers["__connect.errors.topic"] == topic.encode()
        assert headers["__connect.errors.offset"] == str(row.offset).encode()
        assert (row.error_code or "").encode() in headers["__connect.errors.exception.message"]
        assert headers["lorikeet_id"].endswith(f"-0-{row.offset}".encode())
        assert letter.timestamp == row.timestamp
    assert dict(letters[0].headers)["x-custom"] == b"\x00\x01"


def test_repeats_are_noticed_across_restarts(tmp_path: Path, broker: str, prefix: str) -> None:
    topic = f"{prefix}execution.completed"
    same = structured("execution.completed", execution(), id="same")

    async def main() -> list[Row]:
        await publish(broker, topic, [same, structured("execution.completed", execution())])
        await ingest(broker, prefix, tmp_path, 2)
        await publish(broker, topic, [same])
        return await ingest(broker, prefix, tmp_path, 3)

    rows = asyncio.run(main())
    assert [str(row.disposition) for row in rows] == ["accepted", "accepted", "duplicate"]


def test_the_ledgers_offsets_are_the_truth_not_kafkas(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Kafka says that all of it was read; a new ledger reads from the start all the same."""
    topic = f"{prefix}execution.completed"

    async def main() -> list[Row]:
        messages = [structured("execution.completed", execution()) for _ in range(5)]
        await publish(broker, topic, messages)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker, group_id=f"{prefix}ingest")
        await consumer.start()
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(5, "")})
        await consumer.stop()
        return await ingest(broker, prefix, tmp_path, 5)

    assert [row.offset for row in asyncio.run(main())] == [0, 1, 2, 3, 4]


def test_a_new_ledger_begins_where_the_log_begins(tmp_path: Path, broker: str, prefix: str) -> None:
    """Retention has deleted the first records; the rest is read, and nothing is out of range."""
    topic = f"{prefix}execution.completed"

    async def main() -> list[Row]:
        messages = [structured("execution.completed", execution()) for _ in range(5)]
        await publish(broker, topic, messages)
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=3)})
        await admin.close()
        return await ingest(broker, prefix, tmp_path, 2)

    assert [row.offset for row in asyncio.run(main())] == [3, 4]


def test_two_owners_of_one_partition_write_each_record_once(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Both believe that the partitions are theirs: they are in different groups."""
    topic = f"{prefix}execution.completed"

    async def main() -> list[Row]:
        cluster = await cluster_id(KafkaConnection(broker))
        stop = asyncio.Event()
        loops = [
            loop_of(broker, prefix, tmp_path, cluster, QUICK.model_copy(update={"flush_rows": 20}))
            for _ in range(2)
        ]
        loops[1]._settings = loops[1]._settings.model_copy(update={"group": f"{prefix}other"})
        running = [asyncio.create_task(loop.run(stop)) for loop in loops]
        for _ in range(10):
            messages = [structured("execution.completed", execution()) for _ in range(30)]
            await publish(broker, topic, messages)
            await asyncio.sleep(0.2)
        reader = DeltaLedgerReader(tmp_path)
        for _ in range(200):
            if len(list(reader.rows())) >= 300:
                break
            await asyncio.sleep(0.1)
        stop.set()
        await asyncio.gather(*running)
        return list(reader.rows())

    rows = asyncio.run(main())
    assert Counter(Counter(row.offset for row in rows).values()) == {1: 300}


def test_partitions_move_between_members_without_loss(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    topic = f"{prefix}execution.completed"

    async def main() -> list[Row]:
        cluster = await cluster_id(KafkaConnection(broker))
        stops = [asyncio.Event(), asyncio.Event()]
        loops = [loop_of(broker, prefix, tmp_path, cluster, QUICK) for _ in stops]
        running = [asyncio.create_task(loops[0].run(stops[0]))]
        for turn in range(20):
            messages = [structured("execution.completed", execution()) for _ in range(10)]
            await publish(broker, topic, messages, partition=turn % 2)
            if turn == 6:
                running.append(asyncio.create_task(loops[1].run(stops[1])))
            if turn == 13:
                stops[0].set()
        reader = DeltaLedgerReader(tmp_path)
        for _ in range(300):
            if len(list(reader.rows())) >= 200:
                break
            await asyncio.sleep(0.1)
        stops[1].set()
        await asyncio.gather(*running)
        return list(reader.rows())

    rows = asyncio.run(main())
    places = Counter((row.partition, row.offset) for row in rows)
    assert len(places) == 200
    assert set(places.values()) == {1}


def test_a_commit_amid_what_was_fetched_skips_nothing(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Several partitions come in one fetch, and after the first of them a commit is due."""
    topics = [f"{prefix}{kind}" for kind in ("execution.completed", "planning.completed")]
    often = QUICK.model_copy(update={"flush_rows": 5})

    async def main() -> list[Row]:
        for topic in topics:
            for partition in range(2):
                messages = [structured("execution.completed", execution()) for _ in range(150)]
                await publish(broker, topic, messages, partition)
        return await ingest(broker, prefix, tmp_path, 600, often)

    found = Counter((row.topic, row.partition, row.offset) for row in asyncio.run(main()))
    wanted = {
        (topic, partition, n) for topic in topics for partition in range(2) for n in range(150)
    }
    assert found.keys() == wanted
    assert set(found.values()) == {1}


def test_every_step_of_the_commit_is_passed_in_order(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    seen: list[str] = []

    async def main() -> None:
        topic = f"{prefix}execution.completed"
        await publish(broker, topic, [structured("execution.completed", execution())])
        await ingest(broker, prefix, tmp_path, 1, fault=seen.append)

    asyncio.run(main())
    assert tuple(seen) == STEPS
