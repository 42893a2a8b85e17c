"""A ledger rebuilt from Kafka has the same rows; whatever interrupts it, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumers.accept_gap import AcceptGap
from consumers.dead_letters import DeadLetters
from consumers.kafka import cluster_id, input_topics
from consumers.log_walk import LogReader
from consumers.rebuild_ledger import RebuildLedger, Rebuilt
from consumers.verify_ledger import Scope, VerifyLedger
from operations.count_ledger import CountLedger
from operations.erasing.rows import EmptyRows
from operations.ingest_batch import IngestBatch
from operations.known_erasures import Erasures, KnownErasures
from processors.curation.policy import CurationPolicy
from processors.curation.subjects import subject_of
from producers.connection import KafkaConnection
from producers.kafka import KafkaProducer
from schemas.datasets import Recipe
from schemas.erasures import ErasureKind
from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from schemas.events import DEAD_LETTER_TOPIC
from schemas.records import TopicPartition
from schemas.rows import Row
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.control import erasures as asked
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.hold import share
from stores.ledger.local import LocalPlace
from tests.consumers_support import ingest, publish, publish_executions, settled, structured
from tests.installation import database
from tests.sealing import seal
from tests.support import edit, execution

pytestmark = pytest.mark.kafka
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class _Cut(Exception):
    pass


async def fill(broker: str, prefix: str) -> int:
    """Records of every disposition, on both partitions, in transactions and out; how many."""
    topic = f"{prefix}execution.completed"
    run = execution()
    same = structured("execution.completed", run, id="same")
    unsure = structured("execution.completed", execution(confidence=0.1))
    await publish(broker, topic, [same, (b"{", []), unsure, same, structured("else", {})])
    producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=prefix)
    await producer.start()
    for commit in (True, False):
        await producer.begin_transaction()
        value, _ = structured("execution.completed", execution())
        await producer.send_and_wait(topic, value, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()
    await settled(broker, TopicPartition(topic, 0))
    feedback = structured("feedback.received", edit(run["execution_id"], []))
    await publish(broker, f"{prefix}feedback.received", [feedback])
    return 7 + await publish_executions(broker, topic, 60)


async def rebuild(
    broker: str,
    prefix: str,
    ledger: Path,
    *,
    accept_loss: bool = False,
    fault: Callable[[str], None] = lambda _: None,
    recount: Callable[[], None] = lambda: None,
    erasures: Erasures | None = None,
) -> Rebuilt:
    connection = KafkaConnection(broker)
    cluster = await cluster_id(connection)

    def batch(folder: Path) -> IngestBatch:
        writer, reader = DeltaLedgerWriter(folder, cluster), DeltaLedgerReader(folder)
        policy = CurationPolicy(hmac_key=b"key")
        return IngestBatch(writer, reader, cluster, policy, NoMeter(), erasures)

    producer = KafkaProducer(connection)
    dead = DeadLetters(producer, prefix, ObjectFolder(f"file://{ledger}-objects"))
    operation = RebuildLedger(ledger, cluster, batch, dead, recount, "kind")
    topics = input_topics(prefix)
    try:
        async with LogReader(connection) as log:
            return await operation(log, topics, NOW, accept_loss=accept_loss, fault=fault)
    finally:
        await producer.stop()


def rows_of(ledger: Path) -> list[Row]:
    return sorted(DeltaLedgerReader(ledger).rows(), key=lambda r: (r.topic, r.partition, r.offset))


def unfinished(folder: Path) -> list[Path]:
    return [*folder.glob("ledger.re*"), *folder.glob("ledger.aside")]


async def letters(broker: str, prefix: str) -> int:
    async with LogReader(KafkaConnection(broker)) as log:
        return (await log.bounds(TopicPartition(f"{prefix}{DEAD_LETTER_TOPIC}", 0))).end


async def delete_before(broker: str, tp: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.delete_records({KafkaPartition(*tp): RecordsToDelete(before_offset=offset)})
    await admin.close()


def test_all_rows_are_the_same(tmp_path: Path, broker: str, prefix: str) -> None:
    ledger = tmp_path / "ledger"

    async def main() -> None:
        await ingest(broker, prefix, ledger, await fill(broker, prefix))
        before, sent = rows_of(ledger), await letters(broker, prefix)
        offsets = DeltaLedgerReader(ledger).offsets()
        counted: list[int] = []
        done = await rebuild(
            broker, prefix, ledger, recount=lambda: counted.append(len(rows_of(ledger)))
        )
        assert rows_of(ledger) == before
        assert {str(row.disposition) for row in before} >= {"accepted", "review", "duplicate"}
        read = {key: offset for key, offset in offsets.items() if offset}  # others are begun again
        assert DeltaLedgerReader(ledger).offsets().items() >= read.items()
        assert (done.rows, done.lost, counted) == (len(before), 0, [len(before)])
        datasets = [seal(found, Recipe(), offsets) for found in (before, rows_of(ledger))]
        assert datasets[0].examples
        assert datasets[0] == datasets[1], "what is sealed from it is the same too"
        assert rows_of(done.before) == before
        assert await letters(broker, prefix) == sent, "no dead letter a second time"
        assert unfinished(tmp_path) == []

    asyncio.run(main())


def test_what_was_erased_does_not_come_back(tmp_path: Path, broker: str, prefix: str) -> None:
    ledger, store = tmp_path / "ledger", database(tmp_path)
    policy = CurationPolicy(hmac_key=b"key")

    async def main() -> None:
        count = await fill(broker, prefix)
        mine = structured("execution.completed", execution(user_id="ann", execution_id="mine"))
        await publish(broker, f"{prefix}execution.completed", [mine])
        said = structured("feedback.received", edit("mine", []))
        await publish(broker, f"{prefix}feedback.received", [said], partition=1)
        await ingest(broker, prefix, ledger, count + 2)
        subject = subject_of("user:ann", "default", policy)
        kind, facts = ErasureKind.ERASURE, {"reason": "", "requested_by": "test"}
        name = store.write(
            lambda c: asked.ask(c, NOW, tenant="default", kind=kind, subject=subject, **facts)
        )
        (found,) = store.read(asked.every)
        count_ledger = CountLedger(store, DeltaLedgerReader(ledger), NoMeter())
        EmptyRows(LocalPlace(ledger), store, count_ledger, "me")(found, lambda: NOW)
        before = rows_of(ledger)
        assert [row.reasons for row in before].count(("erased",)) == 3, (
            "ann's run, and both edits that ann wrote"
        )
        assert found.id == name
        await rebuild(broker, prefix, ledger, erasures=KnownErasures(store))
        assert rows_of(ledger) == before
        async with LogReader(KafkaConnection(broker)) as log:
            verify = VerifyLedger(ledger, DeltaLedgerReader(ledger), before[0].cluster)
            reports = await verify(log, Scope(input_topics(prefix), f"{prefix}{DEAD_LETTER_TOPIC}"))
        assert not any(report.offences for report in reports)

    asyncio.run(main())


@pytest.mark.parametrize(("step", "times"), [("committed", 2), ("built", 1), ("swapped", 1)])
def test_what_was_interrupted_is_gone_on_with(
    tmp_path: Path, broker: str, prefix: str, step: str, times: int
) -> None:
    ledger, seen = tmp_path / "ledger", list[str]()

    def cut(name: str) -> None:
        seen.append(name)
        if seen.count(step) == times:
            raise _Cut

    async def main() -> None:
        await ingest(broker, prefix, ledger, await fill(broker, prefix))
        before = rows_of(ledger)
        with pytest.raises(_Cut):
            await rebuild(broker, prefix, ledger, fault=cut)
        assert rows_of(ledger) == before, "a whole ledger is there at any time"
        if step == "swapped":
            with pytest.raises(NotReady) as caught:
                share(ledger)
            assert caught.value.code is Code.LEDGER_IN_USE, "its counters are not counted yet"
        counted: list[int] = []
        done = await rebuild(broker, prefix, ledger, recount=lambda: counted.append(1))
        assert rows_of(ledger) == rows_of(done.before) == before
        assert counted == [1]
        assert unfinished(tmp_path) == []
        share(ledger).close()

    asyncio.run(main())


def test_a_ledger_that_is_written_is_not_replaced(tmp_path: Path, broker: str, prefix: str) -> None:
    async def main() -> None:
        with share(tmp_path / "ledger"), pytest.raises(NotReady) as caught:
            await rebuild(broker, prefix, tmp_path / "ledger")
        assert caught.value.code is Code.LEDGER_IN_USE

    asyncio.run(main())


def test_rows_that_kafka_lost_are_kept_unless_the_loss_is_accepted(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    ledger = tmp_path / "ledger"
    tp = TopicPartition(f"{prefix}execution.completed", 0)

    async def main() -> None:
        await ingest(broker, prefix, ledger, await fill(broker, prefix))
        before = rows_of(ledger)
        await delete_before(broker, tp, 3)
        with pytest.raises(Unrecoverable) as caught:
            await rebuild(broker, prefix, ledger)
        assert caught.value.code is Code.RECORDS_EXPIRED
        assert "3 rows" in caught.value.detail
        assert rows_of(ledger) == before
        done = await rebuild(broker, prefix, ledger, accept_loss=True)
        assert (done.lost, done.rows) == (3, len(before) - 3)

    asyncio.run(main())


def test_dead_letters_that_nobody_has_seen_yet_are_published(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    ledger, topic = tmp_path / "ledger", f"{prefix}execution.completed"
    dead = TopicPartition(f"{prefix}{DEAD_LETTER_TOPIC}", 0)

    async def main() -> None:
        await publish(broker, topic, [(b"{", [])] * 2)
        await ingest(broker, prefix, ledger, 2)
        await publish(broker, topic, [(b"{", [])])
        await delete_before(broker, dead, 2)  # with retention, an absent letter may be an old one
        await rebuild(broker, prefix, ledger)
        async with LogReader(KafkaConnection(broker)) as log:
            walk = log.walk(dead, 2, 3)
            (letter,) = [record async for span in walk for record in span.records]
        assert dict(letter.headers)["__connect.errors.offset"] == b"2"
        assert await letters(broker, prefix) == 3
        assert len(rows_of(ledger)) == 3

    asyncio.run(main())


def _without_schema(ledger: Path) -> None:
    entry = ledger / "_delta_log" / f"{0:020}.json"
    entry.write_text(entry.read_text().replace('"metaData"', '"noData"'))


def _cut_short(ledger: Path) -> None:
    path = next(ledger.glob("day=*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [_without_schema, _cut_short])
def test_an_unreadable_ledger_is_rebuilt(
    tmp_path: Path, broker: str, prefix: str, damage: Callable[[Path], None]
) -> None:
    ledger = tmp_path / "ledger"

    async def main() -> None:
        await ingest(broker, prefix, ledger, await fill(broker, prefix))
        before = rows_of(ledger)
        damage(ledger)
        with pytest.raises(LorikeetError) as caught:
            await rebuild(broker, prefix, ledger)
        assert caught.value.code is Code.RECORDS_EXPIRED
        await rebuild(broker, prefix, ledger, accept_loss=True)
        assert rows_of(ledger) == before

    asyncio.run(main())


async def gap(broker: str, ledger: Path, folder: Path) -> AcceptGap:
    cluster = await cluster_id(KafkaConnection(broker))
    writer = DeltaLedgerWriter(ledger, cluster)
    return AcceptGap(DeltaLedgerReader(ledger), writer, database(folder), cluster)


def test_an_expired_gap_is_accepted_once(tmp_path: Path, broker: str, prefix: str) -> None:
    ledger, topic = tmp_path / "ledger", f"{prefix}execution.completed"
    tp = TopicPartition(topic, 0)
    messages = [structured("execution.completed", execution()) for _ in range(4)]

    async def main() -> None:
        await publish(broker, topic, messages)
        await ingest(broker, prefix, ledger, 4)
        operation = await gap(broker, ledger, tmp_path)
        async with LogReader(KafkaConnection(broker)) as log:
            for place in (tp, TopicPartition(topic, 1)):
                with pytest.raises(Unrecoverable) as caught:
                    await operation.look(log, place)
                assert caught.value.code is Code.NO_GAP
            await publish(broker, topic, messages)
            await delete_before(broker, tp, 6)
            found = await operation.look(log, tp)
            assert (found.stored, found.lost, found.made_anew) == (4, 2, False)
            operation.accept(found, actor="user:ann", reason="a holiday")
            with pytest.raises(Unrecoverable):
                await operation.look(log, tp)
        (kept,) = DeltaLedgerReader(ledger).gaps()
        assert (kept.start, kept.end, kept.note["reason"]) == (4, 6, "a holiday")
        assert [row.offset for row in await ingest(broker, prefix, ledger, 6)] == [0, 1, 2, 3, 6, 7]

    asyncio.run(main())


def test_a_topic_made_anew_keeps_its_rows_apart_through_a_rebuild(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    ledger, topic = tmp_path / "ledger", f"{prefix}execution.completed"
    tp = TopicPartition(topic, 0)

    async def main() -> None:
        await publish(broker, topic, [structured("execution.completed", execution())] * 2)
        writer = DeltaLedgerWriter(ledger, await cluster_id(KafkaConnection(broker)))
        writer.claim([tp])
        writer.append([], {tp: 9})  # as of a topic that held more
        operation = await gap(broker, ledger, tmp_path)
        async with LogReader(KafkaConnection(broker)) as log:
            found = await operation.look(log, tp)
            assert (found.made_anew, found.lost) == (True, None)
            operation.accept(found, actor="user:ann", reason="made anew")
        await ingest(broker, prefix, ledger, 2)
        before = rows_of(ledger)
        assert [(row.incarnation, row.offset) for row in before] == [(1, 0), (1, 1)]
        await rebuild(broker, prefix, ledger)
        assert rows_of(ledger) == before

    asyncio.run(main())
