"""Verification finds each way in which a ledger can be wrong, and excuses what Kafka itself removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from deltalake import DeltaTable, write_deltalake

from consumers.kafka import cluster_id
from consumers.log_walk import LogReader
from consumers.reconcile import PartitionReport
from consumers.verify_ledger import Scope, VerifyLedger
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from producers.connection import KafkaConnection
from schemas.errors import Code
from schemas.events import DEAD_LETTER_TOPIC
from schemas.records import TopicPartition
from schemas.rows import Disposition, Row
from stores.control import tallies
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.files import data_files
from stores.ledger.local import LocalPlace
from stores.ledger.retirement import Retirement
from stores.ledger.table import open_table
from tests.consumers_support import ingest, publish, settled, structured
from tests.support import execution

pytestmark = pytest.mark.kafka
NONE, OTHER = cast("Disposition", None), cast("Disposition", "foo")
Change = Callable[[list[Row]], list[Row]]


async def reports(broker: str, prefix: str, ledger: Path) -> list[PartitionReport]:
    """Of the executions, and of all else that the ledger holds."""
    connection = KafkaConnection(broker)
    scope = Scope([f"{prefix}execution.completed"], f"{prefix}{DEAD_LETTER_TOPIC}")
    operation = VerifyLedger(ledger, DeltaLedgerReader(ledger), await cluster_id(connection))
    async with LogReader(connection) as log:
        return await operation(log, scope)


async def verified(broker: str, prefix: str, ledger: Path) -> dict[int, PartitionReport]:
    """The executions' partitions."""
    return {report.partition: report for report in await reports(broker, prefix, ledger)}


async def write(broker: str, tp: TopicPartition, ledger: Path, change: Change) -> None:
    """Rows of all records of a partition, changed, under an offset that claims all of them."""
    connection = KafkaConnection(broker)
    cluster = await cluster_id(connection)
    curator = Curator(cluster, CurationPolicy(hmac_key=b"key"))
    async with LogReader(connection) as log:
        bounds = await log.bounds(tp)
        walk = log.walk(tp, bounds.first, bounds.stable)
        rows = [curator.row(record) async for span in walk for record in span.records]
    writer = DeltaLedgerWriter(ledger, cluster)
    writer.claim([tp])
    writer.append(change(rows), {tp: bounds.stable})


async def executions(broker: str, tp: TopicPartition, count: int) -> None:
    messages = [structured("execution.completed", execution()) for _ in range(count)]
    await publish(broker, tp.topic, messages, partition=tp.partition)


async def transaction(broker: str, tp: TopicPartition, *, commit: bool) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=f"{tp.topic}-{commit}")
    await producer.start()
    await producer.begin_transaction()
    for _ in range(2):
        value, _ = structured("execution.completed", execution())
        await producer.send_and_wait(tp.topic, value, partition=tp.partition)
    await (producer.commit_transaction() if commit else producer.abort_transaction())
    await producer.stop()
    await settled(broker, tp)


async def delete_before(broker: str, tp: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.delete_records({KafkaPartition(*tp): RecordsToDelete(before_offset=offset)})
    await admin.close()


def sums(report: PartitionReport) -> tuple[int, int]:
    parts = (report.accepted, report.review, report.rejected, report.duplicate, report.dead_letter)
    return report.received, sum(parts)


def test_what_ingest_wrote_agrees(tmp_path: Path, broker: str, prefix: str) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)
    same = structured("execution.completed", execution(), id="same")
    messages = [same, same, (b"{", []), structured("else", {}), structured(tp.topic, {})]

    async def main() -> None:
        await publish(broker, tp.topic, messages)
        await transaction(broker, tp, commit=True)
        await transaction(broker, tp, commit=False)
        await ingest(broker, prefix, tmp_path, 7)
        await executions(broker, tp, 3)
        found = (await verified(broker, prefix, tmp_path))[0]
        assert not found.offences
        assert sums(found) == (7, 7)
        assert (found.duplicate, found.dead_letter, found.rejected) == (1, 1, 2)
        assert (found.markers, found.aborted, found.not_yet_read, found.end) == (2, 2, 3, 14)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("what", "change", "offset"),
    [
        ("missing", lambda rows: rows[:3] + rows[4:], 3),
        ("doubled", lambda rows: [*rows, rows[2]], 2),
        ("different", lambda rows: [rows[0]._replace(digest="0" * 64), *rows[1:]], 0),
        ("different", lambda rows: [*rows[:-1], rows[-1]._replace(size=7)], 6),
        ("undecided", lambda rows: [rows[0], rows[1]._replace(disposition=NONE), *rows[2:]], 1),
        ("undecided", lambda rows: [*rows[:2], rows[2]._replace(disposition=OTHER), *rows[3:]], 2),
        ("phantom", lambda rows: [*rows, rows[0]._replace(offset=7)], 7),
    ],
)
def test_a_wrong_row_is_named(
    tmp_path: Path, broker: str, prefix: str, what: str, change: Change, offset: int
) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 1)

    async def main() -> None:
        await executions(broker, tp, 5)
        await transaction(broker, tp, commit=True)
        await write(broker, tp, tmp_path, change)
        found = (await verified(broker, prefix, tmp_path))[1]
        assert [(name, one.count, one.first) for name, one in found.offences.items()] == [
            (what, 1, [offset])
        ]
        received, decided = sums(found)
        assert received == decided + (what in ("missing", "undecided"))

    asyncio.run(main())


def test_a_dead_letter_that_was_not_published_is_named_unless_it_expired(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)
    letters = TopicPartition(f"{prefix}{DEAD_LETTER_TOPIC}", 0)
    bad: Sequence[tuple[bytes, Sequence[tuple[str, bytes]]]] = [(b"{", [])] * 3

    async def main() -> None:
        await publish(broker, tp.topic, bad)
        await ingest(broker, prefix, tmp_path, 3)
        await publish(broker, tp.topic, bad)
        await write(broker, tp, tmp_path, lambda rows: rows[3:])
        found = (await verified(broker, prefix, tmp_path))[0]
        assert found.offences["unpublished"].first == [3, 4, 5]
        await delete_before(broker, letters, 1)
        found = (await verified(broker, prefix, tmp_path))[0]
        assert found.letters_expired == 1
        assert found.count("unpublished") == 3

    asyncio.run(main())


def test_expired_offsets_are_told_apart(tmp_path: Path, broker: str, prefix: str) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)

    async def main() -> None:
        await executions(broker, tp, 4)
        await ingest(broker, prefix, tmp_path, 4)
        await executions(broker, tp, 4)
        await delete_before(broker, tp, 3)
        found = (await verified(broker, prefix, tmp_path))[0]
        assert not found.offences
        assert (found.expired_with_row, found.expired_without_row, found.not_yet_read) == (3, 0, 4)
        await delete_before(broker, tp, 6)
        found = (await verified(broker, prefix, tmp_path))[0]
        assert found.offences["gap"].first == [4, 5]
        assert (found.expired_with_row, found.expired_without_row) == (4, 2)

    asyncio.run(main())


def test_an_offset_beyond_the_log_is_named(tmp_path: Path, broker: str, prefix: str) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)

    async def main() -> None:
        await executions(broker, tp, 2)
        writer = DeltaLedgerWriter(tmp_path, await cluster_id(KafkaConnection(broker)))
        writer.claim([tp])
        writer.append([], {tp: 9})
        found = (await verified(broker, prefix, tmp_path))[0]
        assert found.offences["beyond"].first == [9]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("what", "column", "value"),
    [
        ("ahead", "incarnation", 1),
        ("ahead", "partition", 7),
        ("ahead", "topic", "other"),
        ("ahead", "cluster", "other"),
        ("phantom", "offset", -1),
    ],
)
def test_a_row_that_another_program_added_is_named(
    tmp_path: Path, broker: str, prefix: str, what: str, column: str, value: Any
) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)

    async def main() -> None:
        await executions(broker, tp, 3)
        await write(broker, tp, tmp_path, lambda rows: rows)
        row = DeltaTable(tmp_path).to_pyarrow_table(filters=[("offset", "=", 1)])
        place = row.schema.get_field_index(column)
        changed = pa.array([value], row.schema.field(place).type)
        write_deltalake(tmp_path, row.set_column(place, column, changed), mode="append")
        found = [one for one in await reports(broker, prefix, tmp_path) if one.offences]
        first = value if column == "offset" else 1
        assert [one.facts()["offences"] for one in found] == [{what: [1, [first]]}]

    asyncio.run(main())


def test_a_dead_letter_that_its_row_denies_is_named_unless_settings_explain_it(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)
    deep = b'{"a":' * 80 + b"1" + b"}" * 80

    def accept(rows: list[Row]) -> list[Row]:
        return [row._replace(disposition=Disposition.ACCEPTED) for row in rows]

    async def main() -> None:
        await publish(broker, tp.topic, [(b"{", []), (deep, [])])
        rows = await ingest(broker, prefix, tmp_path / "honest", 2)
        assert [row.error_code for row in rows] == [Code.NOT_JSON.number, Code.TOO_DEEP.number]
        await write(broker, tp, tmp_path / "changed", accept)
        found = (await verified(broker, prefix, tmp_path / "changed"))[0]
        assert {name: one.first for name, one in found.offences.items()} == {"relabelled": [0]}

    asyncio.run(main())


def test_retention_excuses_no_more_rows_than_it_dropped(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    tp = TopicPartition(f"{prefix}execution.completed", 0)

    async def main() -> None:
        await executions(broker, tp, 4)
        await write(broker, tp, tmp_path, lambda rows: rows)
        place = LocalPlace(tmp_path)
        (day,) = {file.day for file in data_files(open_table(place))}
        dropped = Retirement(place, day)
        dropped.drop(tallies.frozen(tallies.tally(dropped.rows(tallies.COLUMNS))))
        found = (await verified(broker, prefix, tmp_path))[0]
        assert (found.retired, found.received, found.offences) == (4, 0, {})
        await executions(broker, tp, 5)
        await write(broker, tp, tmp_path, lambda rows: rows[6:])
        found = (await verified(broker, prefix, tmp_path))[0]
        assert {name: one.first for name, one in found.offences.items()} == {"missing": [4, 5]}
        assert (found.retired, found.received, found.accepted) == (4, 5, 3)

    asyncio.run(main())
