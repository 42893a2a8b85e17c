"""Ledgers of an older Lorikeet get today's columns; those of a newer one stay readable if they say so."""

from __future__ import annotations

import json
import tarfile
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType

from schemas.errors import Code, NotReady, Unrecoverable
from stores.ledger import durable, log
from stores.ledger.compaction import compact
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.files import data_files
from stores.ledger.local import LocalPlace
from stores.ledger.schema import LEDGER_VERSION, TABLE_SCHEMA
from stores.ledger.table import VERSION_KEY, open_table
from tests.ledgers import OTHER, TP, places, rows, whole, writer

_OLD = Path(__file__).parent / "data" / "ledger_9a6207e.tar.gz"
"""Written by revision 9a6207e: version 1, three commits of two rows of two partitions."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(_OLD) as packed:
        packed.extractall(tmp_path)
    return tmp_path


def test_an_older_ledger_gets_the_new_columns_and_goes_on(old: Path) -> None:
    assert "incarnation" not in [field.name for field in DeltaTable(old).schema().fields]
    ledger = writer(old)
    assert ledger.claim([TP, OTHER]) == {TP: 6, OTHER: 6}
    ledger.append([*rows(6, 8), *rows(6, 8, 1)], {TP: 8, OTHER: 8})
    assert whole(old, 8)
    found = list(DeltaLedgerReader(old).rows())
    assert {row.incarnation for row in found} == {0}, "old rows are of the first topic of the name"
    assert {row.reasons for row in found} == {("old",), ()}
    table = DeltaTable(old)
    assert table.metadata().configuration[VERSION_KEY] == str(LEDGER_VERSION)
    assert {f.name for f in table.schema().fields} == set(TABLE_SCHEMA.names)
    back = DeltaLedgerReader(old).recall("c", {TP: 0}).rows({TP: 0}, ["id"])
    names = [name for _, batch in back for name in batch["id"].to_pylist()]
    assert sorted(names) == [f"0-{offset}" for offset in range(8)]


def test_old_and_new_rows_are_compacted_together_and_counted(old: Path) -> None:
    ledger = writer(old)
    ledger.append(rows(6, 8), {TP: 8})
    since = list(DeltaLedgerReader(old).additions(-1, ["offset", "incarnation"]))
    assert [len(a.rows) for a in since] == [4, 4, 4, 2]
    assert since[0].rows[0]["incarnation"] is None
    assert compact(LocalPlace(old), 2, closed="9") == 4
    (file,) = data_files(open_table(old))
    merged = pq.ParquetFile(old / file.name).read(columns=["incarnation", "partition", "offset"])
    keys = list(zip(*(column.to_pylist() for column in merged.columns), strict=True))
    assert keys == sorted(keys)
    assert len(places(old)) == 14


def test_starts_at_the_same_time_add_the_columns_once(old: Path) -> None:
    barrier = threading.Barrier(6)
    failed: list[BaseException] = []

    def start() -> None:
        barrier.wait()
        try:
            open_table(old)
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    added = [v for v, a in log.entries(LocalPlace(old), 3) if "ADD COLUMN" in json.dumps(a)]
    assert len(added) == 1
    assert whole(old, 6)


def test_the_change_is_synced(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync", synced.append)
    version = open_table(old).version()
    assert {durable.entry(old, v) for v in range(4, version + 1)} <= set(synced)
    assert version == 5


def test_columns_of_a_newer_minor_version_are_left_alone(tmp_path: Path) -> None:
    ledger = writer(tmp_path)
    ledger.append(rows(0, 2), {TP: 2})
    DeltaTable(tmp_path).alter.add_columns([Field("mood", PrimitiveType("string"), nullable=True)])
    with pytest.raises(NotReady):
        ledger.append(rows(2, 3), {TP: 3})
    ledger.claim([TP])
    ledger.append(rows(2, 3), {TP: 3})
    _write_with_extra_column(tmp_path)
    assert sorted(row.offset for row in DeltaLedgerReader(tmp_path).rows()) == [0, 1, 2, 3]
    compact(LocalPlace(tmp_path), 2, closed="9")
    moods = DeltaLedgerReader(tmp_path).table(["mood"]).column("mood").to_pylist()
    assert sorted(moods, key=str) == [None, None, None, "fine"], (
        "compaction keeps what it knows not"
    )
    assert DeltaLedgerWriter(tmp_path, "c").claim([TP]) == {TP: 3}


def _write_with_extra_column(path: Path) -> None:
    from deltalake import write_deltalake

    from stores.ledger.schema import to_table

    made = to_table(rows(3, 4))
    made = made.append_column("day", pa.array(["2026-03-01"]))
    write_deltalake(path, made.append_column("mood", pa.array(["fine"])), mode="append")


def test_a_wider_type_is_written_and_a_different_one_is_refused(tmp_path: Path) -> None:
    writer(tmp_path)
    _retype(tmp_path, "partition", "long")
    ledger = writer(tmp_path)
    ledger.append(rows(0, 1), {TP: 1})
    (file,) = data_files(open_table(tmp_path))
    assert pq.read_schema(tmp_path / file.name).field("partition").type == pa.int64()
    assert list(DeltaLedgerReader(tmp_path).rows()) == rows(0, 1)
    _retype(tmp_path, "size", "string")
    with pytest.raises(Unrecoverable) as caught:
        writer(tmp_path)
    assert caught.value.code is Code.LEDGER_COLUMN
    assert "size" in caught.value.detail


def _retype(path: Path, column: str, kind: str) -> None:
    entry = durable.entry(path, 0)
    actions = [json.loads(line) for line in entry.read_text().splitlines()]
    for action in actions:
        if "metaData" in action:
            schema = json.loads(action["metaData"]["schemaString"])
            for field in schema["fields"]:
                if field["name"] == column:
                    field["type"] = kind
            action["metaData"]["schemaString"] = json.dumps(schema)
    entry.write_text("".join(f"{json.dumps(action)}\n" for action in actions))
