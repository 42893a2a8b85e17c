"""Examples in any order into shards in canonical order, with the memory of one shard.

Until all have come they wait in small files (Arrow IPC), so many of them for each shard as it needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.digests import digest_of, sha256_hex

_BATCH = 512
_MOST_WAITING = 32_768
_PLACE, _DIGEST = "_place", "_digest"


class Draft(NamedTuple):
    """`table` has the rows of a shard in canonical order; `digests` those of their contents, likewise."""

    name: str
    table: pa.Table
    digests: list[bytes]

    @property
    def content(self) -> str:
        """The digest of what the shard holds, whatever library wrote it."""
        return content_digest(self.digests)


def content_digest(digests: Sequence[bytes]) -> str:
    """The digest of a set of contents by the digests of each (32 bytes): their order says nothing."""
    return sha256_hex(b"".join(sorted(digests)))


class Spill:
    """A folder of half-made shards."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """`schema` is that of the rows; `folder` has to be empty and is the caller's to remove."""
        self._folder = folder
        own = [pa.field(_PLACE, pa.int64()), pa.field(_DIGEST, pa.binary(32))]
        self._schema = pa.schema([*schema, *own])
        self._waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._files: dict[str, list[Path]] = defaultdict(list)
        self._held = self._written = 0

    def add(self, shard: str, place: int, row: Mapping[str, Any]) -> None:
        """Take a row: its place in the shard's order, and its columns."""
        digest = bytes.fromhex(digest_of(row))
        self._waiting[shard].append({**row, _PLACE: place, _DIGEST: digest})
        self._held += 1
        if len(self._waiting[shard]) >= _BATCH:
            self._write(shard)
        elif self._held >= _MOST_WAITING:
            self._write_all()

    def shards(self) -> Iterator[Draft]:
        """All shards, by name; nothing can be added any more."""
        self._write_all()
        for shard in sorted(self._files):
            parts = [pa.ipc.open_file(pa.memory_map(str(path))) for path in self._files[shard]]
            table = pa.concat_tables([part.read_all() for part in parts])
            table = table.take(pc.sort_indices(table, sort_keys=[(_PLACE, "ascending")]))
            digests = table[_DIGEST].to_pylist()
            yield Draft(shard, table.drop_columns([_PLACE, _DIGEST]).combine_chunks(), digests)
            for path in self._files[shard]:
                path.unlink()

    def _write_all(self) -> None:
        for shard in list(self._waiting):
            self._write(shard)

    def _write(self, shard: str) -> None:
        waiting = self._waiting.pop(shard)
        path = self._folder / f"{self._written:08d}.arrow"
        with pa.ipc.new_file(str(path), self._schema) as file:
            file.write_batch(pa.RecordBatch.from_pylist(waiting, schema=self._schema))
        self._files[shard].append(path)
        self._written += 1
        self._held -= len(waiting)
