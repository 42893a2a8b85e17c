"""Each kind of record that cannot be read, through the real loop: one row, one dead letter, whole.

All kinds are published to one topic with sound events between them and read in one run.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from consumers.dead_letters import original
from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from schemas.digests import sha256_hex
from schemas.errors import Code
from schemas.events import DEAD_LETTER_TOPIC
from schemas.letters import Letter, stage_of
from schemas.records import Record, TopicPartition
from schemas.rows import Row
from stores.artifacts.objects import ObjectFolder
from tests.consumers.bad_records import EVERY, FIELDS, KINDS, MIB, Bad, NameOfBytes
from tests.consumers_support import ingest, publish_batch, read_all
from tests.support import event, execution

pytestmark = pytest.mark.kafka
STAMP = 1_767_225_600_000
SOUND = 25


@dataclass
class Run:
    """What came of one run over all kinds."""

    rows: dict[int, Row]
    letters: dict[int, Any]
    count: int
    objects: ObjectFolder
    topic: str


def _names() -> list[str]:
    return list(EVERY)


async def _publish(broker: str, topic: str) -> int:
    """All kinds, in order, from offset 0; then sound events, each of which must get through."""
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, max_request_size=32 * MIB, compression_type="gzip"
    )
    await producer.start()
    for number, bad in enumerate(EVERY.values()):
        if any(isinstance(name, NameOfBytes) for name, _ in bad.headers):
            one = Record(topic, 0, 0, STAMP + number, bad.key, bad.value, tuple(bad.headers))
            await publish_batch(broker, TopicPartition(topic, 0), [one])
            continue
        await producer.send_and_wait(
            topic,
            bad.value,
            bad.key if bad.value is not None else bad.key or b"",
            partition=0,
            timestamp_ms=STAMP + number,
            headers=bad.headers,
        )
    for kind in ["execution.completed"] * SOUND + ["com.acme.other"]:
        await producer.send_and_wait(
            topic, json.dumps(event(kind, execution())).encode(), partition=0
        )
    await producer.stop()
    return len(EVERY) + SOUND + 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, broker: str) -> Run:
    ledger = tmp_path_factory.mktemp("bad") / "ledger"
    prefix = f"t{uuid.uuid4().hex[:8]}."
    topic = f"{prefix}execution.completed"

    async def main() -> tuple[list[Row], list[Any]]:
        await create_topics(KafkaConnection(broker), prefix, 1)
        count = await _publish(broker, topic)
        rows = await ingest(broker, prefix, ledger, count)
        return rows, await read_all(broker, f"{prefix}{DEAD_LETTER_TOPIC}", len(EVERY))

    rows, found = asyncio.run(main())
    letters = {int(dict(x.headers)["__connect.errors.offset"]): x for x in found}
    objects = ObjectFolder(f"file://{ledger}-objects")
    return Run({row.offset: row for row in rows}, letters, len(found), objects, topic)


@pytest.mark.parametrize("name", EVERY)
def test_a_bad_record_is_one_row_and_one_letter(name: str, run: Run) -> None:
    offset, bad = _names().index(name), EVERY[name]
    _check_row(run.rows[offset], bad, offset)
    letter = run.letters[offset]
    read = Letter.of(letter)
    assert read is not None
    key, value, headers = original(read, lambda: run.objects)
    assert (key, value) == (bad.key, bad.value)
    assert list(headers) == bad.headers
    assert letter.timestamp == STAMP + offset
    assert (read.uri is not None) == ("17 MiB" in name), "only what the topic refuses is elsewhere"
    if read.uri is None:
        assert (letter.key, letter.value) == (bad.key, bad.value)
        assert list(letter.headers[: len(bad.headers)]) == bad.headers
    said = {name: (value or b"").decode(errors="replace") for name, value in letter.headers}
    assert said["__connect.errors.topic"] == run.topic
    assert said["__connect.errors.partition"] == "0"
    assert said["__connect.errors.stage"] == stage_of(bad.code.number)
    assert said["__connect.errors.class.name"].startswith("schemas.")
    assert said["__connect.errors.exception.class.name"] == "schemas.errors.InvalidEvent"
    assert said["__connect.errors.exception.message"].startswith(bad.code.number)
    assert said["lorikeet_id"] == f"{run.rows[offset].cluster}-{run.topic}-0-{offset}"


def _check_row(row: Row, bad: Bad, offset: int) -> None:
    """Which names the record, its size and digest, what was wrong, and nothing else."""
    assert (str(row.disposition), row.error_code) == ("dead_letter", bad.code.number)
    assert row.reasons == (bad.code.name.lower(),)
    assert (row.size, row.digest) == (len(bad.value or b""), sha256_hex(bad.value or b""))
    known = {
        *("cluster", "topic", "partition", "offset", "timestamp", "incarnation"),
        *("size", "digest", "disposition", "reasons", "error_code"),
    }
    held = {name: value for name, value in row._asdict().items() if name not in known}
    assert not any(held.values()), held
    assert row.offset == offset


def test_nothing_stands_still_or_is_lost(run: Run) -> None:
    assert sorted(run.rows) == list(range(len(EVERY) + SOUND + 1))
    assert run.count == len(EVERY), "each once: nothing was killed"
    after = [str(run.rows[len(EVERY) + number].disposition) for number in range(SOUND + 1)]
    assert after == ["accepted"] * SOUND + ["rejected"]
    assert run.rows[len(EVERY) + SOUND].reasons == ("unknown_type",)


def test_every_code_of_a_dead_letter_is_among_the_kinds() -> None:
    codes = {code for code in Code if code.number.startswith("E70")}
    assert {bad.code for bad in KINDS.values()} == codes


def test_the_required_fields_come_from_the_types() -> None:
    for known in (
        "execution.completed: task.prompt is a list",
        "execution.completed: outcome.gates.0.passed is null",
        "execution.completed: messages.0.tool_calls.0.name is null",
        "planning.completed: steps.0.id is a list",
        "telemetry.sampled: sampled_at is null",
        "gateway.adapter: state is a list",
    ):
        assert known in FIELDS
