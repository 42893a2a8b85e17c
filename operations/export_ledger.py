"""Rows of the ledger as files for others: Parquet, JSON lines or CSV, and a manifest written last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from operations.empty_folder import require_empty
from schemas.digests import file_digest
from schemas.errors import Code, Unrecoverable
from stores.ledger.place import Place
from stores.ledger.scan import Scan
from stores.ledger.schema import TABLE_SCHEMA

MANIFEST = "manifest.json"
_FILE_ROWS = 250_000
_ALL = tuple(field.name for field in TABLE_SCHEMA)


class Format(StrEnum):
    """What the files are. In CSV reasons are joined by semicolons."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"


class _Writer(Protocol):
    def write(self, batch: pa.RecordBatch) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns; `said` is how the selection is written into the manifest."""

    wanted: pc.Expression | None
    columns: Sequence[str] | None
    said: dict[str, Any]


class ExportLedger:
    """Streams rows: memory holds a few thousand of them."""

    def __init__(self, ledger: Path | Place) -> None:
        self._ledger = ledger

    def __call__(
        self,
        folder: Path,
        format: Format,  # noqa: A002 - what it is
        selection: Selection,
        say: Callable[[str, int, int], None] = lambda *_: None,
    ) -> dict[str, Any]:
        """Write the files; the manifest. Raises Unrecoverable(FOREIGN_FOLDER or BAD_OPTION)."""
        columns = _columns(selection.columns)
        require_empty(folder)
        scan = Scan(self._ledger)
        total, files = scan.count(selection.wanted), list[dict[str, Any]]()
        filled = (batch for batch in scan.batches(columns, selection.wanted) if len(batch))
        for part in _parts(filled):
            name = f"part-{len(files):05}.{format}"
            files.append(
                _write(folder / name, format, part, lambda n: say("Exporting", n, total), files)
            )
        manifest = {
            "format": str(format),
            "rows": sum(file["rows"] for file in files),
            "columns": list(columns),
            "selection": selection.said,
            "ledger_version": scan.version,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": files,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, default=str) + "\n")
        return manifest


def _columns(asked: Sequence[str] | None) -> Sequence[str]:
    unknown = [name for name in asked or () if name not in _ALL]
    if unknown:
        near = " or ".join(get_close_matches(unknown[0], _ALL))
        meant = f"do you mean {near}? " if near else ""
        remedy = f"{meant}there are {', '.join(_ALL)}"
        raise Unrecoverable(Code.BAD_OPTION, f"no column {unknown[0]!r}", remedy=remedy)
    return asked or _ALL


def _parts(batches: Iterator[pa.RecordBatch]) -> Iterator[Iterator[pa.RecordBatch]]:
    """Runs of batches, one a file."""
    ahead = next(batches, None)

    def part() -> Iterator[pa.RecordBatch]:
        nonlocal ahead
        rows = 0
        while ahead is not None and rows < _FILE_ROWS:
            rows += len(ahead)
            yield ahead
            ahead = next(batches, None)

    while ahead is not None:
        yield part()


def _write(
    path: Path,
    format: Format,  # noqa: A002 - what it is
    batches: Iterator[pa.RecordBatch],
    said: Callable[[int], None],
    before: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    rows, done = 0, sum(file["rows"] for file in before)
    writer: _Writer | None = None
    for batch in batches:
        writer = writer or _WRITERS[format](path, batch.schema)
        writer.write(batch)
        rows += len(batch)
        said(done + rows)
    if writer is not None:
        writer.close()
    size = path.stat().st_size
    return {"name": path.name, "rows": rows, "bytes": size, "sha256": file_digest(path)}


class _Parquet:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class _Csv:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pcsv.CSVWriter(path, _flat_schema(schema))

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(_flat(batch))

    def close(self) -> None:
        self._writer.close()


class _Jsonl:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        del schema
        self._file: TextIO = path.open("w", encoding="utf-8")

    def write(self, batch: pa.RecordBatch) -> None:
        for row in batch.to_pylist():
            self._file.write(json.dumps(row, default=datetime.isoformat, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


_WRITERS: dict[Format, Callable[[Path, pa.Schema], _Writer]] = {
    Format.PARQUET: _Parquet,
    Format.JSONL: _Jsonl,
    Format.CSV: _Csv,
}


def _flat_schema(schema: pa.Schema) -> pa.Schema:
    fields = [
        pa.field(field.name, pa.string()) if pa.types.is_list(field.type) else field
        for field in schema
    ]
    return pa.schema(fields)


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        pc.binary_join(column, ";") if pa.types.is_list(column.type) else column for column in batch
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_flat_schema(batch.schema))
