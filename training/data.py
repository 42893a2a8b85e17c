"""Reading a sealed snapshot: only what the manifest names, and only if its digest fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.datasets import Manifest, ShardKind
from schemas.digests import file_digest
from schemas.errors import Code, Unrecoverable

_INDEX = "index.parquet"


def read_split(folder: Path, split: str) -> list[dict[str, Any]]:
    """The examples of a split in canonical order, with messages and tools decoded."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    index = pq.read_table(_checked(folder / _INDEX, manifest.files.get(_INDEX)))
    rows: list[dict[str, Any]] = []
    begin = 0
    for shard in manifest.shards:
        if shard.kind is ShardKind.EXAMPLES:
            held = pq.read_table(_checked(folder / shard.name, shard.file))
            decided = index.slice(begin, held.num_rows)
            begin += held.num_rows
            wanted = pc.equal(decided["split"], split)
            both = zip(
                held.filter(wanted).to_pylist(), decided.filter(wanted).to_pylist(), strict=True
            )
            rows += [{**said, **chosen} for said, chosen in both]
    for row in rows:
        row["messages"] = json.loads(row["messages"])
        row["tools"] = json.loads(row["tools"])
    return rows


def _checked(path: Path, digest: str | None) -> Path:
    if file_digest(path) != digest:
        raise Unrecoverable(Code.DATASET_CORRUPT, str(path))
    return path
