"""A sealed dataset as files for other people's training: its shards as they are, or JSON lines of a format."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from operations.empty_folder import require_empty
from processors.curation.card.markdown import card_markdown
from processors.curation.formats.alpaca import alpaca
from processors.curation.formats.chat import Record, chat
from processors.curation.formats.preference import both_sides, desirable, preference
from processors.curation.formats.shapes import Shape, shapes
from schemas.datasets import Manifest, Split
from schemas.digests import compact_json, digest_of, file_digest
from schemas.errors import Code, Unrecoverable
from stores.datasets.store import DatasetStore

MANIFEST, CARD = "manifest.json", "README.md"
_HEAD_BYTES = 2 * 2**20


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
        require_empty(folder)
        skipped: Counter[str] = Counter()
        if format is Format.PARQUET:
            files = self._shards(sealed, folder)
        else:
            files = self._lines(sealed, folder, format, skipped, say)
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

    def _shards(self, sealed: Manifest, folder: Path) -> list[dict[str, Any]]:
        self._store.fetch(sealed.digest, folder)
        return [
            _file(folder / shard.name, shard.split, shard.rows, str(shard.kind))
            for shard in sealed.shards
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
        writers: dict[Split, _Lines] = {}
        for number, (split, record) in enumerate(self._records(sealed.digest, format)):
            if isinstance(record, str):
                skipped[record] += 1
            else:
                writers.setdefault(split, _Lines(folder / f"{split}.jsonl")).write(record)
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


class _Lines:
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
