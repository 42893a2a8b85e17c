"""What is known of a partition after a claim: the same whether it was kept or read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from operations.ingest_batch import IngestBatch
from processors.curation.policy import CurationPolicy
from schemas.errors import NotReady, Unrecoverable
from schemas.records import Record, TopicPartition
from schemas.telemetry import NoMeter
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.ledgers import OTHER, TP
from tests.support import event, execution, record

RUN = execution()
POLICY = CurationPolicy(hmac_key=b"key", dedupe_rows=60)
"""A block has two offsets."""


def ingest(ledger: Path) -> IngestBatch:
    reader = DeltaLedgerReader(ledger)
    return IngestBatch(DeltaLedgerWriter(ledger, "c"), reader, "c", POLICY, NoMeter())


def records(tp: TopicPartition, first: int, names: Sequence[str]) -> list[Record]:
    return [
        record(event(tp.topic, RUN, id=name))._replace(
            topic=tp.topic, partition=tp.partition, offset=first + n
        )
        for n, name in enumerate(names)
    ]


def write(batch: IngestBatch, tp: TopicPartition, first: int, names: Sequence[str]) -> list[str]:
    rows = batch.decide(records(tp, first, names))
    batch.commit(rows, {tp: first + len(names)})
    return [row.disposition for row in rows]


def read_back(batch: IngestBatch, monkeypatch: pytest.MonkeyPatch) -> list[set[TopicPartition]]:
    """The partitions of each reading back from now on."""
    found: list[set[TopicPartition]] = []
    recall = batch._reader.recall

    def watched(cluster: str, incarnations: Any) -> Any:
        found.append(set(incarnations))
        return recall(cluster, incarnations)

    monkeypatch.setattr(batch._reader, "recall", watched)
    return found


def test_a_restart_finds_duplicates_of_each_partition_apart(tmp_path: Path) -> None:
    batch = ingest(tmp_path)
    assert batch.claim([TP, OTHER]) == {TP: None, OTHER: None}
    write(batch, TP, 0, ["a", "b"])
    write(batch, OTHER, 0, ["c"])
    again = ingest(tmp_path)
    assert again.claim([TP, OTHER]) == {TP: 2, OTHER: 1}
    assert (again.last(TP), again.last(OTHER)) == (1, 0)
    assert again.is_last(records(TP, 1, ["b"])[0])
    assert not again.is_last(records(TP, 1, ["x"])[0])
    assert write(again, TP, 2, ["a", "c"])[0] == "duplicate"
    assert write(again, OTHER, 1, ["c", "a"])[0] == "duplicate"
    rows = DeltaLedgerReader(tmp_path).rows()
    assert sum(row.disposition == "duplicate" for row in rows) == 2


def test_what_is_beyond_the_rows_to_remember_is_forgotten_and_not_read(tmp_path: Path) -> None:
    batch = ingest(tmp_path)
    batch.claim([TP])
    write(batch, TP, 0, ["old", *[f"n{n}" for n in range(61)]])
    again = ingest(tmp_path)
    again.claim([TP])
    for held in (batch, again):
        rows = held.decide(records(TP, 62, ["old", "n1"]))
        assert [row.disposition == "duplicate" for row in rows] == [False, True]


def test_a_partition_that_has_not_moved_is_not_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ingest(tmp_path)
    batch.claim([TP, OTHER])
    write(batch, TP, 0, ["a"])
    write(batch, OTHER, 0, ["a"])
    found = read_back(batch, monkeypatch)
    batch.claim([TP, OTHER])
    batch.claim([TP])
    assert found == []
    assert batch.is_last(records(TP, 0, ["a"])[0])
    assert write(batch, TP, 1, ["a"]) == ["duplicate"]
    batch.claim([TP, OTHER])
    assert found == [{OTHER}], "it was given up meanwhile"


def test_what_was_decided_and_not_committed_is_unseen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, second = ingest(tmp_path), ingest(tmp_path)
    batch.claim([TP, OTHER])
    write(batch, TP, 0, ["a"])
    second.claim([TP, OTHER])
    write(second, OTHER, 0, ["c"])
    rows = batch.decide(records(OTHER, 0, ["b"]))
    with pytest.raises(NotReady):
        batch.commit(rows, {OTHER: 1})
    found = read_back(batch, monkeypatch)
    assert batch.claim([TP, OTHER]) == {TP: 1, OTHER: 1}
    assert found == [{OTHER}]
    kinds = [row.disposition for row in batch.decide(records(OTHER, 1, ["b", "c"]))]
    assert kinds[0] != "duplicate"
    assert kinds[1] == "duplicate"
    batch.decide(records(TP, 1, ["x"]))
    batch.claim([TP, OTHER])
    assert found[1] == {TP, OTHER}
    assert batch.decide(records(TP, 1, ["x", "x"]))[0].disposition != "duplicate"


def test_a_topic_made_anew_is_judged_by_its_own_rows(tmp_path: Path) -> None:
    batch = ingest(tmp_path)
    batch.claim([TP])
    write(batch, TP, 0, ["a", "b"])
    note = {"accepted_by": "ann", "reason": "made anew"}
    batch.accept_gap(TP, 0, anew=True, note=note)
    assert batch.last(TP) is None
    kinds = write(batch, TP, 0, ["a", "c", "c"])
    assert [kind == "duplicate" for kind in kinds] == [False, False, True]
    again = ingest(tmp_path)
    assert again.claim([TP]) == {TP: 3}
    assert again.last(TP) == 2
    kinds = write(again, TP, 3, ["b", "a"])
    assert [kind == "duplicate" for kind in kinds] == [False, True]


def test_a_claim_that_failed_halfway_is_made_again_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_once = ingest(tmp_path)
    write_once.claim([TP])
    write(write_once, TP, 0, ["a"])
    batch = ingest(tmp_path)
    (file,) = tmp_path.glob("*/*.parquet")
    file.rename(tmp_path / "away")
    with pytest.raises(Unrecoverable, match="parquet"):
        batch.claim([TP])
    (tmp_path / "away").rename(file)
    assert batch.claim([TP]) == {TP: 1}
    assert batch.decide(records(TP, 1, ["a"]))[0].disposition == "duplicate"
