"""Compaction, retention, vacuum, checkpoints: safe beside writers, readers and one another."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from schemas.errors import Code, NotReady
from stores.control import tallies
from stores.ledger import log
from stores.ledger.compaction import TARGET_BYTES, compact, groups
from stores.ledger.delta import DeltaLedgerReader
from stores.ledger.durable import LOG, entry
from stores.ledger.files import DataFile, data_files
from stores.ledger.local import LocalPlace
from stores.ledger.retirement import Retirement, days_before
from stores.ledger.table import open_table
from stores.ledger.vacuum import checkpoint, trim_log, vacuum
from tests.ledgers import DAY, OTHER, TP, fill, places, rows, whole, writer

NEXT = DAY + timedelta(days=1)


def make(folder: Path, commits: int = 6) -> LocalPlace:
    fill(folder, commits)
    return LocalPlace(folder)


def test_a_compaction_merges_the_files_of_each_day_and_changes_no_row(tmp_path: Path) -> None:
    place = make(tmp_path)
    fill(tmp_path, 3, NEXT)
    assert compact(place, 3, closed=NEXT.isoformat()) == 9
    files = data_files(open_table(tmp_path))
    assert sorted((file.day, file.rows) for file in files) == [
        (DAY.isoformat(), 24),
        (NEXT.isoformat(), 12),
    ]
    assert whole(tmp_path, 18)
    assert compact(place, 2, closed="9") == 0, "what is merged is left alone"


def test_compacted_rows_lie_by_partition_and_offset_and_have_no_column_statistics(
    tmp_path: Path,
) -> None:
    place = make(tmp_path)
    compact(place, 2, closed="9")
    (file,) = data_files(open_table(tmp_path))
    found = pq.ParquetFile(tmp_path / file.name).read(columns=["partition", "offset"])
    keys = list(zip(*(c.to_pylist() for c in found.columns), strict=True))
    assert keys == sorted(keys)
    (_, actions), *_ = reversed(list(log.entries(place, -1)))
    added = next(a["add"] for a in actions if "add" in a)
    assert json.loads(added["stats"]) == {"numRecords": 24}
    assert not added["dataChange"]
    assert not any(a["remove"]["dataChange"] for a in actions if "remove" in a)


def test_of_two_compactors_one_is_refused(tmp_path: Path) -> None:
    """delta-rs takes both: the same rows would be there twice."""
    place = make(tmp_path)

    def compact_meanwhile(step: str) -> None:
        if step == "data_synced":
            compact(place, 2, closed="9")

    with pytest.raises(NotReady) as caught:
        compact(place, 2, closed="9", fault=compact_meanwhile)
    assert caught.value.code is Code.LEDGER_FENCED
    assert whole(tmp_path, 12)


def test_a_day_is_dropped_or_compacted_but_not_both(tmp_path: Path) -> None:
    place = make(tmp_path)
    dropped = Retirement(place, DAY.isoformat())
    compact(place, 2, closed="9")
    with pytest.raises(NotReady) as caught:
        dropped.drop(tallies.frozen(tallies.Tally()))
    assert caught.value.code is Code.LEDGER_FENCED
    assert whole(tmp_path, 12)


def test_writers_go_on_beside_compaction_and_retention(tmp_path: Path) -> None:
    place = make(tmp_path)
    ledger = writer(tmp_path, NEXT)
    ledger.claim([TP])

    def append_meanwhile(step: str) -> None:
        if step == "data_synced":
            ledger.append(rows(12, 13), {TP: 13})

    compact(place, 2, closed="9", fault=append_meanwhile)
    ledger.append(rows(13, 14), {TP: 14})
    Retirement(place, DAY.isoformat()).drop(tallies.frozen(tallies.Tally()))
    ledger.append(rows(14, 15), {TP: 15})
    assert sorted(places(tmp_path)) == [(0, 12), (0, 13), (0, 14)]


def test_a_writer_that_slept_through_checkpoints_and_clean_up_goes_on(tmp_path: Path) -> None:
    place = make(tmp_path, 1)
    sleeper = writer(tmp_path)
    sleeper.claim([OTHER])
    awake = writer(tmp_path)
    awake.claim([TP])
    for offset in range(2, 30):
        awake.append(rows(offset, offset + 1), {TP: offset + 1})
    compact(place, 2, closed="9")
    assert checkpoint(place, 1)
    assert trim_log(place, 99, keep=0) > 20
    with pytest.raises(NotReady) as caught:
        sleeper.append(rows(2, 3, 1), {OTHER: 3})
    assert caught.value.code is Code.LEDGER_FENCED
    start = sleeper.claim([OTHER])[OTHER]
    assert start in (2, 3)
    sleeper.append(rows(start, 4, 1), {OTHER: 4})
    assert places(tmp_path) == dict.fromkeys(
        [*((0, o) for o in range(30)), *((1, o) for o in range(4))], 1
    )


def test_files_are_grouped_by_day_and_likeness_up_to_the_target() -> None:
    def file(number: int, size: int, day: str = "b") -> DataFile:
        return DataFile(f"{number:03}", size, day, 1)

    mega = 1024 * 1024
    small = [file(n, 10_000) for n in range(8)]
    large = [file(100 + n, 50 * mega) for n in range(2)]
    assert list(groups([*small, *large], 8, "b")) == [small], "large ones are not written again"
    assert list(groups(small[:7], 8, "b")) == []
    assert list(groups([*small[:2], *large], 8, "c")) == [[*small[:2], *large]], "the day ended"
    assert list(groups([file(1, 1), file(2, 1, "a")], 2, "c")) == []
    many = list(groups([file(n, 30 * mega) for n in range(9)], 4, "b"))
    assert [len(group) for group in many] == [4, 4]
    assert all(sum(f.size for f in group) <= TARGET_BYTES for group in many)


def test_a_row_is_written_again_a_few_times_only() -> None:
    """Many small commits in one day: what compaction writes stays near what ingest wrote."""
    files: list[DataFile] = []
    written = 0
    for number in range(4_000):
        files.append(DataFile(f"{number:05}", 20_000, "b", 1))
        for group in list(groups(files, 32, "b")):
            size = sum(file.size for file in group)
            written += size
            files = [file for file in files if file not in group]
            files.append(DataFile(f"{number:05}c", size, "b", 1))
    assert written < 4 * 4_000 * 20_000
    assert len(files) < 100


def test_vacuum_deletes_what_nothing_refers_to_and_only_when_it_is_old(tmp_path: Path) -> None:
    place = make(tmp_path)
    orphan = tmp_path / f"day={DAY}" / "of-a-killed-commit.parquet"
    orphan.write_bytes(b"PAR1")
    torn = entry(tmp_path, 99).with_name("torn.json.torn")
    torn.write_text("{")
    compact(place, 2, closed="9")
    Retirement(place, DAY.isoformat()).drop(tallies.frozen(tallies.Tally()))
    fill(tmp_path, 1, NEXT)
    long_ago = time.time() - 8 * 86_400
    for path in tmp_path.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    assert vacuum(place) == 2, "merged files were removed just now: readers may hold them"
    assert not orphan.exists()
    assert not torn.exists()
    assert vacuum(place, keep_seconds=-1) == 7
    assert list(tmp_path.glob("_retired/*.parquet")), "a tally is referred to for ever"
    assert sorted(places(tmp_path)) == [(p, o) for p in (0, 1) for o in (12, 13)]
    fill(tmp_path, 1, NEXT)


def test_the_log_is_trimmed_up_to_what_was_counted(tmp_path: Path) -> None:
    place = make(tmp_path, 20)
    assert not checkpoint(place, 100)
    assert checkpoint(place, 20)
    assert trim_log(place, 5, keep=3) == 5
    assert trim_log(place, 99, keep=3) == 12
    assert next(v for v, item in log.numbered(place) if item.name.endswith(".json")) == 17
    assert whole(tmp_path, 40)
    assert DeltaLedgerReader(tmp_path).offsets() == {f"c:{TP.topic}:{p}": 40 for p in (0, 1)}
    with pytest.raises(log.LogExpired) as caught:
        list(DeltaLedgerReader(tmp_path).additions(3, ["offset"]))
    assert caught.value.code is Code.LEDGER_LOG_EXPIRED
    assert len(list(DeltaLedgerReader(tmp_path).additions(17, ["offset"]))) == 3


def test_offsets_are_those_that_delta_has(tmp_path: Path) -> None:
    dice = Random(3)
    place = LocalPlace(tmp_path)
    for _ in range(15):
        fill(tmp_path, dice.randrange(1, 4), size=1)
        if dice.random() < 0.4:
            checkpoint(place, 1)
        if dice.random() < 0.4:
            trim_log(place, 99, keep=dice.randrange(3))
        table = DeltaTable(tmp_path)
        offsets = DeltaLedgerReader(tmp_path).offsets()
        assert offsets == {key: table.transaction_version(key) for key in offsets}
        assert len(offsets) == 2


def test_additions_say_when_a_file_that_they_need_is_gone(tmp_path: Path) -> None:
    place = make(tmp_path)
    compact(place, 2, closed="9")
    vacuum(place, keep_seconds=-1)
    with pytest.raises(log.LogExpired):
        list(DeltaLedgerReader(tmp_path).additions(-1, ["offset"]))


def test_days_are_those_of_ingest(tmp_path: Path) -> None:
    place = make(tmp_path, 1)
    fill(tmp_path, 1, NEXT)
    assert days_before(place, NEXT.isoformat()) == [DAY.isoformat()]
    assert days_before(place, date(2027, 1, 1).isoformat()) == [DAY.isoformat(), NEXT.isoformat()]


def test_a_checkpoint_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = make(tmp_path)
    synced: list[Path] = []
    monkeypatch.setattr("stores.ledger.durable.sync", synced.append)
    checkpoint(place, 1)
    version = open_table(tmp_path).version()
    names = {path.relative_to(tmp_path).as_posix() for path in synced}
    assert names == {*log.checkpoint_names(version), LOG}


def test_a_writer_shortens_its_log_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a member starts quickly where nobody maintains the ledger."""
    monkeypatch.setattr("stores.ledger.writer.CHECKPOINT_COMMITS", 10)
    ledger, place, made = writer(tmp_path), LocalPlace(tmp_path), []
    for number in range(21):
        ledger.append(rows(number, number + 1), {TP: number + 1})
        if ledger.shorten_log():
            made.append(log.last_checkpoint(place))
    assert made == [10, 20]
    assert places(tmp_path) == Counter({(0, offset): 1 for offset in range(21)})
    assert writer(tmp_path).claim([TP]) == {TP: 21}
