"""An export has every column, of rows from before there were labels as well."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from operations.export_ledger import MANIFEST, ExportLedger, Format, Selection
from stores.ledger.schema import TABLE_SCHEMA
from tests.ledgers import TP, rows, unpacked, writer

ALL = Selection(None, None, {})
GATES = '{"valid_answer":true}'


def read(format: Format, files: list[Path]) -> Iterator[dict[str, Any]]:  # noqa: A002 - as it is called
    """The rows of an export's files."""
    for file in files:
        if format is Format.PARQUET:
            yield from pq.read_table(file).to_pylist()
        elif format is Format.JSONL:
            yield from map(json.loads, file.read_text().splitlines())
        else:
            with file.open(newline="") as lines:
                yield from csv.DictReader(lines)


@pytest.mark.parametrize("form", Format, ids=str)
def test_labels_are_exported_and_absent_where_nobody_noted_them(
    tmp_path: Path, form: Format
) -> None:
    old = unpacked(tmp_path / "ledger", 2)
    labelled = [row._replace(steps=2.0, gates=GATES) for row in rows(6, 8)]
    writer(old).append(labelled, {TP: 8})
    manifest = ExportLedger(old)(tmp_path / "out", form, ALL)
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["rows"] == manifest["rows"] == 14
    assert set(manifest["columns"]) == set(TABLE_SCHEMA.names)
    found = list(read(form, [tmp_path / "out" / file["name"] for file in manifest["files"]]))
    assert {frozenset(row) for row in found} == {frozenset(TABLE_SCHEMA.names)}
    noted = [row for row in found if row["gates"]]
    assert [(float(row["steps"]), row["gates"]) for row in noted] == [(2.0, GATES)] * 2
    assert {row["steps"] for row in found if not row["gates"]} == {
        "" if form is Format.CSV else None
    }
