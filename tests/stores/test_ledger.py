"""The ledger: rows and offsets in one commit, fenced, forward only, readable by anybody."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from schemas.errors import Code, LorikeetError, NotReady, Unrecoverable
from schemas.records import TopicPartition
from schemas.rows import Row
from stores.ledger import durable, log
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.local import LocalPlace
from stores.ledger.schema import LEDGER_VERSION
from stores.ledger.table import VERSION_KEY, dataset_of, open_table
from tests.ledgers import fill
from tests.processes import ROOT
from tests.support import row

TP = TopicPartition("execution.completed", 0)
OTHER = TopicPartition("execution.completed", 1)


def rows(start: int, end: int, partition: int = 0) -> list[Row]:
    return [
        row(offset, partition=partition, id=f"{partition}-{offset}") for offset in range(start, end)
    ]


def writer(path: Path) -> DeltaLedgerWriter:
    found = DeltaLedgerWriter(path, "c")
    found.claim([TP, OTHER])
    return found


def test_rows_and_offsets_are_committed_together(tmp_path: Path) -> None:
    ledger = writer(tmp_path)
    assert ledger.claim([TP]) == {TP: None}
    ledger.append(rows(0, 3), {TP: 3})
    reader = DeltaLedgerReader(tmp_path)
    assert reader.offsets() == {"c:execution.completed:0": 3}
    assert sorted(found.offset for found in reader.rows()) == [0, 1, 2]
    assert writer(tmp_path).claim([TP]) == {TP: 3}


def test_what_was_written_comes_back_unchanged(tmp_path: Path) -> None:
    written = [
        row(0, reasons=("a", "b"), success=True, quality=71.5, content='{"x":1}'),
        row(1, success=False, valid=None),
    ]
    writer(tmp_path).append(written, {TP: 2})
    assert sorted(DeltaLedgerReader(tmp_path).rows(), key=lambda r: r.offset) == written


def test_a_second_writer_of_a_partition_is_fenced(tmp_path: Path) -> None:
    first, second = writer(tmp_path), writer(tmp_path)
    first.append(rows(0, 2), {TP: 2})
    with pytest.raises(NotReady) as caught:
        second.append(rows(0, 2), {TP: 2})
    assert caught.value.code is Code.LEDGER_FENCED
    assert second.claim([TP]) == {TP: 2}
    second.append(rows(2, 4), {TP: 4})
    assert len(list(DeltaLedgerReader(tmp_path).rows())) == 4


def test_writers_of_other_partitions_do_not_disturb_each_other(tmp_path: Path) -> None:
    first, second = writer(tmp_path), writer(tmp_path)
    first.claim([TP])
    second.claim([OTHER])
    for number in range(5):
        first.append(rows(number, number + 1), {TP: number + 1})
        second.append(rows(number, number + 1, 1), {OTHER: number + 1})
    assert len(list(DeltaLedgerReader(tmp_path).rows())) == 10


@pytest.mark.parametrize(
    ("start", "end", "to"),
    [(0, 1, 1), (2, 3, 2), (4, 5, 4)],
    ids=["below the stored offset", "next offset not above it", "row beyond the next offset"],
)
def test_an_offset_never_goes_back(tmp_path: Path, start: int, end: int, to: int) -> None:
    ledger = writer(tmp_path)
    ledger.append(rows(0, 2), {TP: 2})
    with pytest.raises(NotReady):
        ledger.append(rows(start, end), {TP: to})
    assert DeltaLedgerReader(tmp_path).offsets() == {"c:execution.completed:0": 2}


def test_a_partition_that_was_not_claimed_cannot_be_written(tmp_path: Path) -> None:
    ledger = DeltaLedgerWriter(tmp_path, "c")
    with pytest.raises(NotReady):
        ledger.append(rows(0, 1), {TP: 1})


def test_any_delta_reader_reads_it_also_after_compaction(tmp_path: Path) -> None:
    days = itertools.cycle([date(2026, 3, 1), date(2026, 3, 2)])
    ledger = DeltaLedgerWriter(tmp_path, "c", today=lambda: next(days))
    ledger.claim([TP])
    for number in range(6):
        found = [row(number, model="m" if number % 2 else None)]
        ledger.append(found, {TP: number + 1})
    for compacted in (False, True):
        if compacted:
            open_table(tmp_path).optimize.compact()
        table = DeltaTable(tmp_path).to_pyarrow_dataset()
        wanted = "topic partition offset type tenant source id event_time disposition reasons"
        assert set(wanted.split()) <= set(table.schema.names)
        assert table.to_table().num_rows == 6
        assert table.to_table(filter=pc.field("tenant") == "default").num_rows == 6
        assert table.to_table(filter=pc.field("model") == "m").num_rows == 3
        assert table.to_table(filter=pc.field("offset") >= 4).num_rows == 2
        assert table.to_table(filter=pc.field("day") == "2026-03-02").num_rows == 3


def test_the_log_gives_each_commit_once_and_leaves_compactions_out(tmp_path: Path) -> None:
    ledger = writer(tmp_path)
    ledger.append(rows(0, 2), {TP: 2})
    ledger.append(rows(2, 3), {TP: 3})
    open_table(tmp_path).optimize.compact()
    ledger.claim([TP])
    ledger.append(rows(3, 4), {TP: 4})
    reader = DeltaLedgerReader(tmp_path)
    found = list(reader.additions(-1, ["offset"]))
    assert [[r["offset"] for r in addition.rows] for addition in found] == [[0, 1], [2], [3]]
    assert [a.offsets["c:execution.completed:0"] for a in found] == [2, 3, 4]
    assert list(reader.additions(found[-1].version, ["offset"])) == []


@pytest.mark.parametrize("damage", ["", '{"commitInfo": {"tim'], ids=["empty", "torn"])
def test_a_damaged_last_log_entry_is_set_aside(tmp_path: Path, damage: str) -> None:
    writer(tmp_path).append(rows(0, 2), {TP: 2})
    version = DeltaLedgerReader(tmp_path).version()
    durable.entry(tmp_path, version + 1).write_text(damage)
    ledger = writer(tmp_path)
    assert ledger.claim([TP]) == {TP: 2}
    ledger.append(rows(2, 3), {TP: 3})
    assert sorted(r.offset for r in DeltaLedgerReader(tmp_path).rows()) == [0, 1, 2]
    assert list(tmp_path.glob(f"{durable.LOG}/*.torn"))


def test_a_ledger_of_a_newer_lorikeet_is_refused(tmp_path: Path) -> None:
    writer(tmp_path)
    entry = durable.entry(tmp_path, 0)
    ours, newer = (f'"{VERSION_KEY}":"{n}"' for n in (LEDGER_VERSION, LEDGER_VERSION + 1))
    entry.write_text(entry.read_text().replace(ours, newer))
    with pytest.raises(Unrecoverable) as caught:
        open_table(tmp_path)
    assert caught.value.code is Code.LEDGER_NEWER


def test_a_broken_ledger_is_one_error_with_a_code(tmp_path: Path) -> None:
    writer(tmp_path).append(rows(0, 1), {TP: 1})
    durable.entry(tmp_path, 0).write_text("{}\n")
    with pytest.raises(LorikeetError) as caught:
        open_table(tmp_path)
    assert caught.value.code is Code.LEDGER_UNREADABLE


def test_data_is_synced_before_the_commit_and_the_log_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = writer(tmp_path)
    seen: list[tuple[str, bool]] = []
    real = durable.sync

    def watch(path: Path) -> None:
        visible = durable.entry(tmp_path, 1).exists()
        seen.append((path.relative_to(tmp_path).as_posix(), visible))
        real(path)

    monkeypatch.setattr(durable, "sync", watch)
    ledger.append(rows(0, 1), {TP: 1})
    data = [name for name, visible in seen if not visible]
    log = [name for name, visible in seen if visible]
    assert any(name.endswith(".parquet") for name in data)
    assert log == [f"{durable.LOG}/{1:020}.json", durable.LOG]


def test_log_entries_are_whole_json(tmp_path: Path) -> None:
    writer(tmp_path).append(rows(0, 1), {TP: 1})
    for _, actions in log.entries(LocalPlace(tmp_path), -1):
        assert all(isinstance(action, dict) for action in actions)
        assert json.dumps(actions)


_LEAVES_A_SCAN = """
import sys
from pathlib import Path
from stores.ledger.scan import Scan

found = Scan(Path(sys.argv[1])).batches(["offset", "content"])
assert len(next(found))
"""


def test_a_process_ends_well_though_it_left_a_scan_half_read(tmp_path: Path) -> None:
    fill(LocalPlace(tmp_path), 40, size=50)
    scanned = dataset_of(open_table(tmp_path), LocalPlace(tmp_path))
    assert "py::" not in scanned.filesystem.type_name  # or Arrow's threads call Python as it ends
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", _LEAVES_A_SCAN, str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
