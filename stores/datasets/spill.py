"""Examples in any order into shards in canonical order, with the memory of one shard.

Each shard's examples wait in a file of their own (Arrow IPC) until all have come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from schemas.digests import digest_of, sha256_hex

_BATCH = 512
_PLACE, _DIGEST = "_place", "_digest"


class Shard(NamedTuple):
    """`table` has the examples in canonical order; `digests` are those of their contents, in that order."""

    name: str
    table: pa.Table
    digests: list[bytes]

    @property
    def content(self) -> str:
        """The digest of what the shard holds, whatever library wrote it."""
        return content_digest(self.digests)


def content_digest(digests: list[bytes]) -> str:
    """The digest of a set of examples by the digests of each (32 bytes): their order says nothing."""
    return sha256_hex(b"".join(sorted(digests)))


class Spill:
    """A folder of half-made shards."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """`schema` is that of the examples; `folder` has to be empty and is the caller's to remove."""
        self._folder = folder
        own = [pa.field(_PLACE, pa.int64()), pa.field(_DIGEST, pa.binary(32))]
        self._schema = pa.schema([*schema, *own])
        self._waiting: dict[str, list[dict[str, Any]]] = {}
        self._files: dict[str, pa.ipc.RecordBatchStreamWriter] = {}

    def add(
        self, shard: str, place: int, row: Mapping[str, Any], content: Mapping[str, Any]
    ) -> None:
        """Take an example: its place in the shard's order, its columns, and what its digest covers."""
        waiting = self._waiting.setdefault(shard, [])
        digest = bytes.fromhex(digest_of(content))
        waiting.append({**row, _PLACE: place, _DIGEST: digest})
        if len(waiting) >= _BATCH:
            self._write(shard)

    def shards(self) -> Iterator[Shard]:
        """All shards, by name; nothing can be added any more."""
        for shard in sorted(self._waiting):
            self._write(shard)
            self._files.pop(shard).close()
        for shard in sorted(self._waiting):
            with pa.memory_map(str(self._path(shard))) as file:
                table = pa.ipc.open_stream(file).read_all()
            table = table.take(pc.sort_indices(table, sort_keys=[(_PLACE, "ascending")]))
            digests = table[_DIGEST].to_pylist()
            yield Shard(shard, table.drop_columns([_PLACE, _DIGEST]), digests)
            self._path(shard).unlink()
            del table

    def _write(self, shard: str) -> None:
        waiting = self._waiting[shard]
        file = self._files.get(shard)
        if file is None:
            file = self._files[shard] = pa.ipc.new_stream(str(self._path(shard)), self._schema)
        if waiting:
            file.write_batch(pa.RecordBatch.from_pylist(waiting, schema=self._schema))
            waiting.clear()

    def _path(self, shard: str) -> Path:
        return self._folder / f"{sha256_hex(shard.encode())[:24]}.arrow"
