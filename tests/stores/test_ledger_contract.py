"""What every ledger promises, wherever it lies: one suite over a folder and a real S3 server."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from schemas.errors import Code, NotReady, Unrecoverable
from schemas.records import partition_key
from stores.control import tallies
from stores.ledger import log
from stores.ledger.compaction import compact
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.place import Place
from stores.ledger.retirement import Retirement
from stores.ledger.s3 import S3Place
from stores.ledger.vacuum import checkpoint, trim_log, vacuum
from tests import s3_server
from tests.ledgers import DAY, OTHER, TOPIC, TP, fill, places, rows, whole, writer

NOTE = {"accepted_by": "ann", "reason": "retention"}


def test_rows_and_offsets_are_committed_together(place: Place) -> None:
    written = rows(0, 3)
    writer(place).append(written, {TP: 3})
    reader = DeltaLedgerReader(place)
    assert reader.offsets() == {f"c:{TOPIC}:0": 3}
    assert sorted(reader.rows(), key=lambda r: r.offset) == written
    assert writer(place).claim([TP, OTHER]) == {TP: 3, OTHER: None}


def test_a_second_writer_is_fenced_and_goes_on_from_the_ledger(place: Place) -> None:
    first, second = writer(place), writer(place)
    first.append(rows(0, 2), {TP: 2})
    with pytest.raises(NotReady) as caught:
        second.append(rows(0, 2), {TP: 2})
    assert caught.value.code is Code.LEDGER_FENCED
    assert second.claim([TP]) == {TP: 2}
    second.append(rows(2, 4), {TP: 4})
    assert sorted(places(place)) == [(0, o) for o in range(4)]


def test_writers_of_different_partitions_race_without_a_loss(place: Place) -> None:
    def append(tp_rows: int) -> None:
        tp = (TP, OTHER)[tp_rows]
        ledger = writer(place)
        ledger.claim([tp])
        for offset in range(8):
            ledger.append(rows(offset, offset + 1, tp.partition), {tp: offset + 1})

    writer(place)
    threads = [threading.Thread(target=append, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(place, 8)


def test_a_compaction_changes_no_row_and_fences_no_writer(place: Place) -> None:
    fill(place, 4)
    ledger = writer(place)
    version = DeltaLedgerReader(place).version()
    assert compact(place, 2, closed="9") == 4
    ledger.append(rows(8, 9), {TP: 9})
    (addition,) = DeltaLedgerReader(place).additions(version, ["offset"])
    assert addition.rows == [{"offset": 8}]
    assert len(places(place)) == 17


def test_of_two_compactors_one_is_refused(place: Place) -> None:
    fill(place, 3)

    def meanwhile(step: str) -> None:
        if step == "data_synced":
            compact(place, 2, closed="9")

    with pytest.raises(NotReady):
        compact(place, 2, closed="9", fault=meanwhile)
    assert whole(place, 6)


def test_maintenance_keeps_rows_offsets_gaps_and_tallies(place: Place) -> None:
    fill(place, 3)
    dropped = Retirement(place, DAY.isoformat())
    dropped.drop(tallies.frozen(tallies.tally(dropped.rows(tallies.COLUMNS))))
    later = DAY + timedelta(days=1)
    gap = writer(place, later).accept_gap(TP, 9, anew=False, note=NOTE)
    fill(place, 2, later)
    compact(place, 2, closed="9")
    assert checkpoint(place, 1)
    assert trim_log(place, 99, keep=0) > 5
    vacuum(place, keep_seconds=-1)
    reader = DeltaLedgerReader(place)
    snapshot = reader.snapshot(["partition", "offset"])
    found = sorted((row["partition"], row["offset"]) for row in snapshot.rows)
    assert found == [*((0, o) for o in range(9, 13)), *((1, o) for o in range(6, 10))]
    assert snapshot.offsets == reader.offsets() == {f"c:{TOPIC}:0": 13, f"c:{TOPIC}:1": 10}
    assert list(snapshot.gaps) == reader.gaps() == [gap]
    (retired,) = snapshot.retired
    kept = tallies.thawed(retired).dispositions
    assert kept == {(TOPIC, 0, "accepted"): 6, (TOPIC, 1, "accepted"): 6}
    with pytest.raises(log.LogExpired):
        list(reader.additions(0, ["offset"]))


def test_a_gap_is_accepted_on_record_and_fenced(place: Place) -> None:
    ledger = writer(place)
    ledger.append(rows(0, 5), {TP: 5})
    behind = writer(place)
    gap = ledger.accept_gap(TP, 20, anew=False, note=NOTE)
    assert (gap.key, gap.start, gap.end) == (f"c:{TOPIC}:0", 5, 20)
    assert gap.note["accepted_by"] == "ann"
    assert gap.note["accepted_at"]
    with pytest.raises(NotReady) as caught:
        behind.append(rows(5, 6), {TP: 6})
    assert caught.value.code is Code.LEDGER_FENCED
    ledger.append(rows(20, 21), {TP: 21})
    assert behind.claim([TP]) == {TP: 21}
    assert DeltaLedgerReader(place).gaps() == [gap]
    with pytest.raises(NotReady):
        ledger.accept_gap(TP, 21, anew=False, note=NOTE)


def test_a_backfill_may_begin_later_than_its_partition(place: Place) -> None:
    ledger = writer(place)
    gap = ledger.accept_gap(TP, 7, anew=False, note=NOTE)
    assert (gap.start, gap.end) == (0, 7)
    ledger.append(rows(7, 8), {TP: 8})
    assert writer(place).claim([TP]) == {TP: 8}


def test_a_topic_made_anew_begins_its_next_incarnation(place: Place) -> None:
    ledger = writer(place)
    ledger.append([*rows(0, 5), *rows(0, 1, 1)], {TP: 5, OTHER: 1})
    behind, aside = writer(place), writer(place)
    gap = ledger.accept_gap(TP, 2, anew=True, note=NOTE)
    assert (gap.key, gap.start, gap.end) == (partition_key("c", *TP, 1), 0, 2)
    assert ledger.incarnation(TP) == 1
    ledger.append([r._replace(incarnation=1) for r in rows(2, 4)], {TP: 4})
    with pytest.raises(NotReady) as caught:
        behind.append(rows(5, 6), {TP: 6})
    assert caught.value.code is Code.LEDGER_FENCED
    aside.append(rows(1, 2, 1), {OTHER: 2})  # its own commit does not hide what was made anew
    with pytest.raises(NotReady) as caught:
        aside.append(rows(5, 6), {TP: 6})
    assert caught.value.code is Code.LEDGER_FENCED
    assert behind.claim([TP]) == {TP: 4}
    assert behind.incarnation(TP) == 1
    offsets = DeltaLedgerReader(place).offsets()
    assert offsets == {f"c:{TOPIC}:0": 5, f"c:{TOPIC}:0#1": 4, f"c:{TOPIC}:1": 2}


def test_what_was_seen_is_read_back_by_partition_and_from_an_offset_on(place: Place) -> None:
    fill(place, 3)
    compact(place, 2, closed="9")
    fill(place, 1)
    recall = DeltaLedgerReader(place).recall("c", {TP: 0, OTHER: 0})
    found = dict(recall.rows({TP: 6, OTHER: 3}, ["offset", "id"]))
    held = {tp: sorted(batch["id"].to_pylist()) for tp, batch in found.items()}
    assert held == {TP: ["0-6", "0-7"], OTHER: [f"1-{offset}" for offset in range(3, 8)]}
    stamp = rows(0, 1)[0].timestamp
    extents = recall.extents({TP: 3, OTHER: 8}, 3)
    assert {tp: sorted(blocks) for tp, blocks in extents.items()} == {
        TP: [(1, stamp + 3, stamp + 5, 5), (2, stamp + 6, stamp + 7, 7)]
    }
    for cluster, number in (("other", 0), ("c", 1)):
        empty = DeltaLedgerReader(place).recall(cluster, {TP: number})
        assert list(empty.rows({TP: 0}, ["id"])) == []
        assert empty.extents({TP: 0}, 3) == {}
    assert list(recall.rows({}, ["id"])) == []


def test_a_store_that_lets_several_writers_win_is_refused(s3: str) -> None:
    uri = f"s3://{s3_server.BUCKET}/checked"
    S3Place(uri, s3, "us-east-1", allow_http=True).check()
    with s3_server.forgetful_proxy(s3) as address:
        with pytest.raises(Unrecoverable) as caught:
            S3Place(uri, address, "us-east-1", allow_http=True).check()
        assert caught.value.code is Code.STORE_NOT_ATOMIC
        assert "8 of 8" in caught.value.detail


def test_a_store_that_does_not_answer_is_one_error_with_a_code(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(Unrecoverable) as caught:
        S3Place(f"s3://{s3_server.BUCKET}/x", s3, "us-east-1", allow_http=True).check()
    assert caught.value.code is Code.UNWRITABLE


def test_opening_an_empty_place_from_several_threads_makes_one_ledger(place: Place) -> None:
    found: list[DeltaLedgerWriter] = []
    threads = [threading.Thread(target=lambda: found.append(writer(place))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for number, one in enumerate(found):
        one.claim([TP])
        one.append(rows(number, number + 1), {TP: number + 1})
    assert sorted(row.offset for row in DeltaLedgerReader(place).rows()) == [0, 1, 2, 3]
