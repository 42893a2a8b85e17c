"""A sealed dataset as files for other people's training: Parquet with all columns, or JSON lines of a format."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from operations.empty_folder import require_empty
from processors.curation.card.markdown import card_markdown
from processors.curation.formats.alpaca import alpaca
from processors.curation.formats.chat import Record, chat
from processors.curation.formats.preference import both_sides, desirable, preference
from processors.curation.formats.shapes import Shape, shapes
from schemas.datasets import Example, Manifest, Pair, ShardKind, Split
from schemas.digests import compact_json, digest_of, file_digest
from schemas.errors import Code, LorikeetError, Unrecoverable
from stores.datasets.columns import COLUMNS, json_text
from stores.datasets.store import DatasetStore

MANIFEST, CARD = "manifest.json", "README.md"
_HEAD_BYTES = 2 * 2**20
_ROWS = 1_024


class Format(StrEnum):
    """What the files are; see `processors.curation.formats`."""

    PARQUET = "parquet"
    CHAT_JSONL = "chat-jsonl"
    ALPACA = "alpaca"
    PREFERENCE = "preference"
    KTO = "kto"


Say = Callable[[str, int, int], None]


class ExportDataset:
    """Streams a dataset, a shard at a time, into a folder of its own."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def __call__(
        self,
        digest: str,
        folder: Path,
        format: Format,  # noqa: A002 - what it is
        say: Say = lambda *_: None,
    ) -> dict[str, Any]:
        """Write the files, the card and, last, the manifest, which is the answer.

        `skipped` counts the examples that the format cannot say, by reason. Raises
        Unrecoverable(FOREIGN_FOLDER) for a folder with something in it, NOTHING_TO_EXPORT where the dataset
        has nothing to say in the format.
        """
        sealed = self._store.manifest(digest)
        if format is Format.PREFERENCE and not sum(sealed.pairs.values()):
            raise Unrecoverable(Code.NOTHING_TO_EXPORT, f"{digest} has no preference pairs")
        skipped: Counter[str] = Counter()
        with _own(folder):
            files = self._files(sealed, folder, format, skipped, say)
        (folder / CARD).write_text(_front(files) + card_markdown(sealed), encoding="utf-8")
        manifest = {
            "dataset": digest,
            "version": sealed.version,
            "tenant": sealed.tenant,
            "model": sealed.model,
            "format": str(format),
            "files": files,
            "skipped": dict(sorted(skipped.items())),
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        return manifest

    def _files(
        self,
        sealed: Manifest,
        folder: Path,
        format: Format,  # noqa: A002 - what it is
        skipped: Counter[str],
        say: Say,
    ) -> list[dict[str, Any]]:
        if format is Format.PARQUET:
            return self._tables(sealed, folder, say)
        return self._lines(sealed, folder, format, skipped, say)

    def _tables(self, sealed: Manifest, folder: Path, say: Say) -> list[dict[str, Any]]:
        """Everything that is known of examples and pairs; messages and tools are JSON texts."""
        writers: dict[tuple[ShardKind, Split], _Rows] = {}
        total = sum(sealed.counts.values()) + sum(sealed.pairs.values())
        items: Iterator[Example | Pair] = chain(
            self._store.examples(sealed.digest), self._store.pairs(sealed.digest)
        )
        for number, item in enumerate(items):
            kind = ShardKind.EXAMPLES if isinstance(item, Example) else ShardKind.PAIRS
            if (kind, item.split) not in writers:
                prefix = "" if kind is ShardKind.EXAMPLES else f"{kind}-"
                path = folder / f"{prefix}{item.split}.parquet"
                writers[kind, item.split] = _Rows(path, COLUMNS[kind])
            writers[kind, item.split].write(item.content())
            say("Exporting", number + 1, total)
        return [
            _file(writers[kind, split].close(), split, writers[kind, split].rows, str(kind))
            for kind in ShardKind
            for split in Split
            if (kind, split) in writers
        ]

    def _lines(
        self,
        sealed: Manifest,
        folder: Path,
        format: Format,  # noqa: A002 - what it is
        skipped: Counter[str],
        say: Say,
    ) -> list[dict[str, Any]]:
        total = sum((sealed.pairs if format is Format.PREFERENCE else sealed.counts).values())
        writers: dict[Split, JsonLines] = {}
        for number, (split, record) in enumerate(self._records(sealed.digest, format)):
            if isinstance(record, str):
                skipped[record] += 1
            else:
                writers.setdefault(split, JsonLines(folder / f"{split}.jsonl")).write(record)
            say("Exporting", number + 1, max(total, number + 1))
        if not writers:
            left = ", ".join(f"{count:,} {why}" for why, count in sorted(skipped.items()))
            raise Unrecoverable(Code.NOTHING_TO_EXPORT, f"{sealed.digest} as {format}; {left}")
        return [_file(writers[s].close(), s, writers[s].rows) for s in Split if s in writers]

    def _records(
        self,
        digest: str,
        format: Format,  # noqa: A002 - what it is
    ) -> Iterator[tuple[Split, Record | str]]:
        if format is Format.KTO:
            yield from self._labelled(digest)
        elif format is Format.PREFERENCE:
            for pair in self._store.pairs(digest):
                yield pair.split, preference(pair)
        else:
            said = chat if format is Format.CHAT_JSONL else alpaca
            for example in self._store.examples(digest):
                yield example.split, said(example)

    def _labelled(self, digest: str) -> Iterator[tuple[Split, Record]]:
        """Examples, then both answers of every pair; each answer once."""
        known: set[str] = set()

        def new(record: Record) -> bool:
            before = len(known)
            known.add(digest_of(record))
            return len(known) > before

        for example in self._store.examples(digest):
            if new(record := desirable(example)):
                yield example.split, record
        for pair in self._store.pairs(digest):
            yield from ((pair.split, record) for record in both_sides(pair) if new(record))


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """An empty folder for files; one that was made for them goes again where there are none."""
    made = not folder.exists()
    require_empty(folder)
    try:
        yield
    except LorikeetError:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise


class _Rows:
    """A Parquet file, some rows at a time."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self._path, self._schema = path, schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def write(self, content: Mapping[str, Any]) -> None:
        """Take the content of an example or a pair."""
        self.rows += 1
        self._waiting.append(
            {n: json_text(v) if isinstance(v, list) else v for n, v in content.items()}
        )
        if len(self._waiting) >= _ROWS:
            self._flush()

    def close(self) -> Path:
        """End the file; where it is."""
        self._flush()
        self._writer.close()
        return self._path

    def _flush(self) -> None:
        self._writer.write_batch(pa.RecordBatch.from_pylist(self._waiting, schema=self._schema))
        self._waiting.clear()


class JsonLines:
    """JSON lines in their order, but those that show a new shape come first (see `shapes`)."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._heads: list[bytes] = []
        self._room = _HEAD_BYTES
        self._seen: set[Shape] = set()
        self._body = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed by `close`

    def write(self, record: Record) -> None:
        """Take a record."""
        self.rows += 1
        line = compact_json(record) + b"\n"
        new = set(shapes(record)) - self._seen if len(line) <= self._room else None
        if new:
            self._seen |= new
            self._room -= len(line)
            self._heads.append(line)
        else:
            self._body.write(line)

    def close(self) -> Path:
        """Write the file; where it is."""
        self._body.seek(0)
        with self._body, self._path.open("wb") as file:
            file.writelines(self._heads)
            shutil.copyfileobj(self._body, file)
        return self._path


def _file(path: Path, split: Split, rows: int, kind: str = "examples") -> dict[str, Any]:
    return {
        "name": path.name,
        "kind": kind,
        "split": str(split),
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": file_digest(path),
    }


def _front(files: list[dict[str, Any]]) -> str:
    """What tells Hugging Face `datasets` which file is what: examples by default, `pairs` beside them."""
    lines = ["---", "configs:"]
    for kind in dict.fromkeys(file["kind"] for file in files):
        lines += [f"- config_name: {'default' if kind == 'examples' else kind}", "  data_files:"]
        for split in dict.fromkeys(f["split"] for f in files if f["kind"] == kind):
            mine = [f["name"] for f in files if (f["kind"], f["split"]) == (kind, split)]
            lines += [f"  - split: {split}", f"    path: {json.dumps(mine)}"]
    return "\n".join([*lines, "---", "", ""])
