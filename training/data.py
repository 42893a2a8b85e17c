"""Reading a sealed snapshot: only what the manifest names, and only if its digest fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from schemas.datasets import Manifest
from schemas.digests import file_digest
from schemas.errors import Code, Unrecoverable


def read_split(folder: Path, split: str) -> list[dict[str, Any]]:
    """The examples of a split, with messages and tools decoded."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    name = f"{split}.parquet"
    if file_digest(folder / name) != manifest.files.get(name):
        raise Unrecoverable(Code.DATASET_CORRUPT, str(folder / name))
    rows: list[dict[str, Any]] = pq.read_table(folder / name).to_pylist()
    for row in rows:
        row["messages"] = json.loads(row["messages"])
        row["tools"] = json.loads(row["tools"])
    return rows
