"""Who may write to the ledger: claims, conflicts, and tables that this version cannot write."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger import durable
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.table import open_table
from tests.support import row

TOPIC = "execution.completed"
TP, OTHER = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


def rows(start: int, end: int, partition: int = 0) -> list[Row]:
    return [row(n, partition=partition, id=f"{partition}-{n}") for n in range(start, end)]


def writer(path: Path) -> DeltaLedgerWriter:
    found = DeltaLedgerWriter(path, "c")
    found.claim([TP, OTHER])
    return found


def fenced(ledger: DeltaLedgerWriter, batch: list[Row], offsets: dict[TopicPartition, int]) -> None:
    before = DeltaLedgerReader(ledger._place).offsets()
    with pytest.raises(NotReady) as caught:
        ledger.append(batch, offsets)
    assert caught.value.code is Code.LEDGER_FENCED
    assert DeltaLedgerReader(ledger._place).offsets() == before


def rewrite(path: Path, kind: str, **changes: Any) -> None:
    """Change an action of the ledger's first log entry."""
    entry = durable.entry(path, 0)
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if kind in action:
            action[kind].update(changes)
    entry.write_text("".join(f"{json.dumps(action)}\n" for action in actions))


def test_our_own_commit_does_not_hide_a_foreign_one(tmp_path: Path) -> None:
    """It carries the handle's snapshot forward, past what others committed before it."""
    first, second = writer(tmp_path), writer(tmp_path)
    first.append(rows(0, 100), {TP: 100})
    second.append(rows(0, 10, 1), {OTHER: 10})
    fenced(second, rows(0, 50), {TP: 50})
    assert second.claim([TP, OTHER]) == {TP: 100, OTHER: 10}
    second.append(rows(100, 150), {TP: 150})
    places = Counter((r.partition, r.offset) for r in DeltaLedgerReader(tmp_path).rows())
    assert len(places) == 160
    assert set(places.values()) == {1}


def test_nor_does_it_when_the_foreign_one_came_in_between(tmp_path: Path) -> None:
    """After an own commit that was the only one, and before one that was not."""
    first, second = writer(tmp_path), writer(tmp_path)
    second.append(rows(0, 1, 1), {OTHER: 1})
    first.append(rows(0, 5), {TP: 5})
    second.append(rows(1, 2, 1), {OTHER: 2})
    second.append(rows(2, 3, 1), {OTHER: 3})  # nobody else has moved this one
    fenced(second, rows(0, 9), {TP: 9})
    fenced(second, rows(0, 9) + rows(3, 4, 1), {TP: 9, OTHER: 4})


def test_a_commit_of_other_partitions_and_a_compaction_fence_nobody(tmp_path: Path) -> None:
    first, second = writer(tmp_path), writer(tmp_path)
    first.claim([TP])
    second.claim([OTHER])
    for number in range(3):
        first.append(rows(number, number + 1), {TP: number + 1})
        open_table(tmp_path).optimize.compact()
        second.append(rows(number, number + 1, 1), {OTHER: number + 1})
    assert len(list(DeltaLedgerReader(tmp_path).rows())) == 6


def test_a_changed_table_is_read_again_and_written(tmp_path: Path) -> None:
    """Delta's other conflicts pass as well once the batch is claimed and read again."""
    ledger = writer(tmp_path)
    DeltaTable(tmp_path).alter.set_table_properties({"delta.appendOnly": "false"})
    fenced(ledger, rows(0, 1), {TP: 1})
    ledger.claim([TP])
    ledger.append(rows(0, 1), {TP: 1})


@pytest.mark.parametrize(
    "protocol",
    [
        {"minWriterVersion": 99},
        {"minReaderVersion": 99, "minWriterVersion": 99},
        {
            "minReaderVersion": 3,
            "minWriterVersion": 7,
            "readerFeatures": ["fancy"],
            "writerFeatures": ["fancy"],
        },
    ],
    ids=["writer", "reader and writer", "feature"],
)
def test_a_table_of_a_newer_delta_is_refused_when_it_is_opened(
    tmp_path: Path, protocol: dict[str, Any]
) -> None:
    writer(tmp_path)
    rewrite(tmp_path, "protocol", **protocol)
    with pytest.raises(Unrecoverable) as caught:
        DeltaLedgerWriter(tmp_path, "c")
    assert caught.value.code is Code.LEDGER_NEWER


def test_a_feature_that_cannot_be_written_is_no_fence(tmp_path: Path) -> None:
    """Reading again would not help: it would go on for ever."""
    writer(tmp_path)
    rewrite(tmp_path, "protocol", minWriterVersion=7, writerFeatures=["fancy"])
    ledger = writer(tmp_path)
    with pytest.raises(Unrecoverable) as caught:
        ledger.append(rows(0, 1), {TP: 1})
    assert caught.value.code is Code.LEDGER_NEWER


def test_a_table_upgraded_under_a_writer_stops_it_at_its_next_claim(tmp_path: Path) -> None:
    ledger = writer(tmp_path)
    action = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 99}}
    durable.entry(tmp_path, 1).write_text(json.dumps(action))
    fenced(ledger, rows(0, 1), {TP: 1})
    with pytest.raises(Unrecoverable) as caught:
        ledger.claim([TP])
    assert caught.value.code is Code.LEDGER_NEWER


@pytest.mark.parametrize("version", ["abc", "-1", "1.5"])
def test_a_version_that_is_no_number_is_one_error_with_a_code(tmp_path: Path, version: str) -> None:
    writer(tmp_path)
    rewrite(tmp_path, "metaData", configuration={"lorikeet.ledgerVersion": version})
    with pytest.raises(Unrecoverable) as caught:
        open_table(tmp_path)
    assert caught.value.code is Code.LEDGER_UNREADABLE
    assert version in caught.value.detail


def test_a_ledger_that_is_gone_is_an_error_with_a_code(tmp_path: Path) -> None:
    ledger = writer(tmp_path)
    shutil.rmtree(tmp_path / durable.LOG)
    (tmp_path / durable.LOG).write_text("")
    with pytest.raises(LorikeetError):
        ledger.append(rows(0, 1), {TP: 1})
    with pytest.raises(Unrecoverable) as caught:
        ledger.claim([TP])
    assert caught.value.code is Code.UNWRITABLE
