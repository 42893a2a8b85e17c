"""Dead letters of any size: on the topic, or in the artifact store with a record that points there."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from consumers.dead_letters import DeadLetters
from consumers.kafka import create_topics
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from producers.memory import MemoryProducer
from producers.port import Raw, TooLarge
from schemas.digests import sha256_hex
from schemas.errors import Code
from schemas.events import DEAD_LETTER_TOPIC
from schemas.letters import Letter
from schemas.records import Record
from stores.artifacts.objects import ObjectFolder
from tests.consumers_support import ingest, publish, read_all, structured
from tests.support import execution, record

MIB = 1024 * 1024


class SmallTopic(MemoryProducer):
    """Takes records up to a size."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    async def send_raw(self, records: Sequence[Raw]) -> None:
        for raw in records:
            headers = sum(len(name) + len(value or b"") for name, value in raw.headers)
            if len(raw.key or b"") + len(raw.value or b"") + headers > self._limit:
                raise TooLarge(Code.PUBLISH_FAILED, "too large")
        await super().send_raw(records)


def deliver(records: Sequence[Record], producer: MemoryProducer, root: ObjectFolder) -> int:
    curator = Curator("c", CurationPolicy(hmac_key=b"key"))
    letters = DeadLetters(producer, "p.", root)
    return asyncio.run(letters.send([(found, curator.row(found)) for found in records]))


def stored(root: ObjectFolder, letter: Any) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """Value and headers where a record points."""
    folder = root.key(dict(letter.headers)["lorikeet_uri"].decode())
    headers = json.loads(root.get(f"{folder}/headers.json"))
    plain = [(name, None if value is None else base64.b64decode(value)) for name, value in headers]
    return root.get(f"{folder}/value"), plain


@pytest.fixture
def root(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(f"file://{tmp_path}/objects")


def test_only_what_is_too_large_is_stored(root: ObjectFolder) -> None:
    topic = SmallTopic(1_000)
    small = record(b"{no", offset=0)
    large = record(b"{" + b"x" * 2_000, offset=1, headers=(("h", b"\x00"), ("n", None)))
    assert deliver([small, large], topic, root) == 2
    first, second = topic.records
    assert first.value == small.value
    assert "lorikeet_uri" not in dict(first.headers)
    said = dict(second.headers)
    assert second.value is None
    assert second.timestamp == large.timestamp
    assert said["h"] == b"\x00", "what fits stays on the record"
    assert said["lorikeet_size"] == b"2001"
    assert said["lorikeet_sha256"] == sha256_hex(large.value or b"").encode()
    assert said["lorikeet_id"] == b"c-execution.completed-0-1"
    assert (said["__connect.errors.exception.message"] or b"").startswith(b"E7001")
    assert stored(root, second) == (large.value, list(large.headers))
    assert len(list(root.keys("dead-letters"))) == 2


def test_headers_and_key_that_fill_the_topic_are_stored_too(root: ObjectFolder) -> None:
    topic = SmallTopic(1_000)
    bomb = record(b"{no", headers=tuple((f"h{n}", b"x" * 100) for n in range(100)))
    assert deliver([bomb._replace(key=b"k" * 5_000)], topic, root) == 1
    (letter,) = topic.records
    assert letter.key is None
    assert not any(name.startswith("h") for name, _ in letter.headers)
    assert stored(root, letter) == (bomb.value, list(bomb.headers))
    folder = root.key((dict(letter.headers)["lorikeet_uri"] or b"").decode())
    assert root.get(f"{folder}/key") == b"k" * 5_000


def test_a_topic_too_small_for_a_pointer_is_said(root: ObjectFolder) -> None:
    with pytest.raises(TooLarge):
        deliver([record(b"{no")], SmallTopic(10), root)


@pytest.mark.kafka
def test_records_larger_than_any_topic_takes_do_not_stop_ingest(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Compressed on the wire they fit; as they are read they do not."""
    topic = f"{prefix}execution.completed"
    bad = [
        (b"{" + b"x" * 20 * MIB, [("h", b"1")]),
        (b"{", [("bomb", b"y" * 20 * MIB)]),
        (b"{small", []),
    ]
    ledger = tmp_path / "ledger"

    async def main() -> tuple[list[Any], list[Any]]:
        gzip: dict[str, Any] = {"compression_type": "gzip", "max_request_size": 64 * MIB}
        for message in bad:
            await publish(broker, topic, [message], **gzip)
        await publish(broker, topic, [structured("execution.completed", execution())])
        rows = await ingest(broker, prefix, ledger, 4)
        return rows, await read_all(broker, f"{prefix}{DEAD_LETTER_TOPIC}", 3)

    rows, letters = asyncio.run(main())
    assert [str(row.disposition) for row in rows] == ["dead_letter"] * 3 + ["accepted"]
    by_offset = {dict(x.headers)["__connect.errors.offset"]: x for x in letters}
    root = ObjectFolder(f"file://{ledger}-objects")
    for number, (value, headers) in enumerate(bad[:2]):
        letter = by_offset[str(number).encode()]
        assert letter.value is None
        assert stored(root, letter) == (value, headers)
    assert dict(by_offset[b"0"].headers)["h"] == b"1"
    assert "bomb" not in dict(by_offset[b"1"].headers)
    assert by_offset[b"2"].value == b"{small"


@pytest.mark.kafka
def test_a_topic_with_a_limit_of_its_own(broker: str, prefix: str, root: ObjectFolder) -> None:
    """The broker refuses, not the client: the user made the topic."""
    own = f"{prefix}own."
    large, small = record(b"{" + b"x" * 100_000, offset=0), record(b"{no", offset=1)
    curator = Curator("c", CurationPolicy(hmac_key=b"key"))

    async def main() -> list[Any]:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        limits = {"max.message.bytes": "20000"}
        topic = NewTopic(f"{own}{DEAD_LETTER_TOPIC}", 1, 1, topic_configs=limits)
        await admin.create_topics([topic])
        await admin.close()
        producer = KafkaProducer(KafkaConnection(broker))
        letters = DeadLetters(producer, own, root)
        await letters.send([(found, curator.row(found)) for found in (large, small)])
        await producer.stop()
        return await read_all(broker, f"{own}{DEAD_LETTER_TOPIC}", 2)

    by_id = {dict(x.headers)["lorikeet_id"]: x for x in asyncio.run(main())}
    pointer = by_id[b"c-execution.completed-0-0"]
    assert pointer.value is None
    assert stored(root, pointer)[0] == large.value
    assert by_id[b"c-execution.completed-0-1"].value == b"{no"


@pytest.mark.kafka
def test_a_record_with_neither_key_nor_value_does_not_stop_ingest(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    async def main() -> tuple[list[Any], list[Any]]:
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        await producer.start()
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=None)
        sent = await producer.send_batch(batch, f"{prefix}execution.completed", partition=0)
        await sent
        await producer.stop()
        rows = await ingest(broker, prefix, tmp_path / "ledger", 1)
        return rows, await read_all(broker, f"{prefix}{DEAD_LETTER_TOPIC}", 1)

    rows, letters = asyncio.run(main())
    assert [row.error_code for row in rows] == [Code.EMPTY.number]
    assert letters[0].value is None


@pytest.mark.kafka
def test_a_time_that_the_topic_does_not_take(tmp_path: Path, broker: str, prefix: str) -> None:
    """A user's input topic may take any time; the dead letters' takes an hour ahead at most."""
    far, own = 4_102_444_800_000, f"{prefix}any."
    connection = KafkaConnection(broker)

    async def main() -> tuple[list[Any], list[Any]]:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        any_time = {"message.timestamp.after.max.ms": str(2**63 - 1)}
        topic = f"{own}execution.completed"
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=any_time)])
        await admin.close()
        await create_topics(connection, own, 1)
        producer = AIOKafkaProducer(bootstrap_servers=broker)
        await producer.start()
        for stamp in (far, 1, -1):
            await producer.send_and_wait(topic, b"{no", b"k", partition=0, timestamp_ms=stamp)
        await producer.stop()
        rows = await ingest(broker, own, tmp_path / "ledger", 3)
        return rows, await read_all(broker, f"{own}{DEAD_LETTER_TOPIC}", 3)

    rows, letters = asyncio.run(main())
    assert [row.error_code for row in rows] == [Code.NOT_JSON.number] * 3
    found = {dict(x.headers)["__connect.errors.offset"]: x for x in letters}
    assert dict(found[b"0"].headers)["lorikeet_timestamp"] == str(far).encode()
    assert found[b"0"].timestamp < far
    read = Letter.of(found[b"0"])
    assert read is not None
    assert (read.timestamp, read.value, read.key) == (far, b"{no", b"k")
    assert found[b"1"].timestamp == 1
