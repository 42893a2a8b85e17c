"""Golden sets: frozen cases under their digest.

golden/<digest>/cases.jsonl
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from schemas.datasets import GoldenCase
from schemas.digests import canonical_json, digest_of
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder


def write_golden(objects: ObjectFolder, cases: Sequence[GoldenCase]) -> tuple[str, str]:
    """Freeze a golden set; its digest and where it lies."""
    rows = [case.model_dump(mode="json") for case in cases]
    digest = digest_of(rows)
    key = f"golden/{digest}/cases.jsonl"
    if not objects.exists(key):
        objects.put(key, b"".join(canonical_json(row) + b"\n" for row in rows))
    return digest, objects.uri(key)


def read_golden(objects: ObjectFolder, digest: str) -> list[GoldenCase]:
    """The cases of a golden set, checked against its digest."""
    text = objects.get(f"golden/{digest}/cases.jsonl").decode()
    rows = [json.loads(line) for line in text.splitlines()]
    if digest_of(rows) != digest:
        raise Unrecoverable(Code.DATASET_CORRUPT, f"golden/{digest}")
    return [GoldenCase.model_validate(row) for row in rows]
