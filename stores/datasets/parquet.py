"""Datasets as Parquet with a manifest that is written last.

    datasets/<digest>/train.parquet, validation.parquet, test.parquet, manifest.json
    golden/<digest>/cases.jsonl

A reader trusts only what a manifest names, and checks it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.datasets import Example, GoldenCase, Manifest, Split
from schemas.digests import canonical_json, digest_of, sha256_hex
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder

MANIFEST = "manifest.json"
_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("label_row", pa.string()),
        ("weight", pa.float64()),
        ("messages", pa.string()),
        ("tools", pa.string()),
        ("prompt_digest", pa.string()),
        ("task", pa.string()),
        ("session", pa.string()),
        ("user", pa.string()),
        ("domain", pa.string()),
        ("task_type", pa.string()),
        ("kind", pa.string()),
        ("adapter_digest", pa.string()),
        ("quality", pa.float64()),
    ]
)
"""`messages` and `tools` are JSON texts."""


class DatasetStore:
    """Sealed datasets and golden sets under one root."""

    def __init__(self, objects: ObjectFolder) -> None:
        self._objects = objects

    def uri(self, digest: str) -> str:
        """Where a dataset lies."""
        return self._objects.uri(f"datasets/{digest}")

    def write(self, examples: Sequence[Example], manifest: Manifest) -> Manifest:
        """Write the shards, then the manifest that names them; writing again changes nothing."""
        prefix = f"datasets/{manifest.digest}"
        if self._objects.exists(f"{prefix}/{MANIFEST}"):
            return self.manifest(manifest.digest)
        files = {}
        for part in Split:
            data = _parquet([e for e in examples if e.split is part])
            name = f"{part}.parquet"
            self._objects.put(f"{prefix}/{name}", data)
            files[name] = sha256_hex(data)
        complete = manifest.model_copy(update={"files": files})
        self._objects.put(f"{prefix}/{MANIFEST}", canonical_json(complete.model_dump(mode="json")))
        return complete

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a sealed dataset. Raises Unrecoverable(NO_SUCH_DATASET)."""
        key = f"datasets/{digest}/{MANIFEST}"
        if not self._objects.exists(key):
            raise Unrecoverable(Code.NO_SUCH_DATASET, digest)
        return Manifest.model_validate_json(self._objects.get(key))

    def fetch(self, digest: str, folder: Path) -> Manifest:
        """Bring a dataset to a local folder, every file checked against the manifest."""
        manifest = self.manifest(digest)
        self._objects.fetch_folder(f"datasets/{digest}", folder, manifest.files)
        (folder / MANIFEST).write_bytes(canonical_json(manifest.model_dump(mode="json")))
        return manifest

    def examples(self, digest: str) -> list[Example]:
        """All examples of a dataset."""
        manifest = self.manifest(digest)
        found: list[Example] = []
        for part in Split:
            name = f"{part}.parquet"
            data = self._objects.get(f"datasets/{digest}/{name}")
            if sha256_hex(data) != manifest.files.get(name):
                raise Unrecoverable(Code.DATASET_CORRUPT, f"{digest}/{name}")
            found += [_example(row, part) for row in pq.read_table(io.BytesIO(data)).to_pylist()]
        return found

    def write_golden(self, cases: Sequence[GoldenCase]) -> tuple[str, str]:
        """Freeze a golden set; its digest and where it lies."""
        rows = [case.model_dump(mode="json") for case in cases]
        digest = digest_of(rows)
        key = f"golden/{digest}/cases.jsonl"
        if not self._objects.exists(key):
            self._objects.put(key, b"".join(canonical_json(row) + b"\n" for row in rows))
        return digest, self._objects.uri(key)

    def golden(self, digest: str) -> list[GoldenCase]:
        """The cases of a golden set, checked against its digest."""
        text = self._objects.get(f"golden/{digest}/cases.jsonl").decode()
        rows = [json.loads(line) for line in text.splitlines()]
        if digest_of(rows) != digest:
            raise Unrecoverable(Code.DATASET_CORRUPT, f"golden/{digest}")
        return [GoldenCase.model_validate(row) for row in rows]


def _parquet(examples: Iterable[Example]) -> bytes:
    rows = []
    for example in examples:
        row = example.content()
        del row["split"]
        row["messages"] = json_text(row["messages"])
        row["tools"] = json_text(row["tools"])
        rows.append(row)
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), buffer, compression="zstd")
    return buffer.getvalue()


def json_text(value: Any) -> str:
    """JSON text that keeps the order of keys: it is the order in which a call was written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _example(row: dict[str, Any], part: Split) -> Example:
    fields = dict(row)
    fields["messages"] = tuple(json.loads(fields["messages"]))
    fields["tools"] = tuple(json.loads(fields["tools"]))
    return Example(split=part, **fields)
