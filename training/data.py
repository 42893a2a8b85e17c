"""Reading a sealed snapshot: only what the manifest names, and only if its digest fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from schemas.datasets import Manifest, ShardKind
from schemas.digests import file_digest
from schemas.errors import Code, Unrecoverable


def read_split(folder: Path, split: str) -> list[dict[str, Any]]:
    """The examples of a split in canonical order, with messages and tools decoded."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    rows: list[dict[str, Any]] = []
    for shard in manifest.shards:
        if shard.kind is ShardKind.EXAMPLES and shard.split == split:
            if file_digest(folder / shard.name) != shard.file:
                raise Unrecoverable(Code.DATASET_CORRUPT, str(folder / shard.name))
            rows += pq.read_table(folder / shard.name).to_pylist()
    for row in rows:
        row["messages"] = json.loads(row["messages"])
        row["tools"] = json.loads(row["tools"])
    return rows
