"""A domain model as plain data: a JSON header and two arrays; the header's digest is the version."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from processors.curation.domains.grams import BUCKETS
from processors.curation.domains.model import DomainModel
from schemas.digests import canonical_json, sha256_hex
from schemas.errors import Code, Unrecoverable

HEADER = "model.json"
FORMAT = 1
"""Rises whenever a text's grams, or what is computed from them, change."""
_ARRAYS = ("weights", "lengths")
_VECTORS = ("centre", "spread", "levels")


def written(model: DomainModel) -> tuple[str, dict[str, bytes]]:
    """(digest, content by file name). The digest covers the header, and the header every array."""
    files = {f"{name}.npy": _array(getattr(model, name)) for name in _ARRAYS}
    header = canonical_json(
        {
            "format": FORMAT,
            "labels": list(model.labels),
            **{name: getattr(model, name).tolist() for name in _VECTORS},
            "trained": dict(model.trained),
            "files": {name: sha256_hex(data) for name, data in files.items()},
        }
    )
    return sha256_hex(header), {**files, HEADER: header}


def read(digest: str, file: Callable[[str], bytes]) -> DomainModel:
    """The model of a digest; `file` gives the content of a name.

    Raises Unrecoverable(DIGEST_MISMATCH) for other content, (BAD_DOMAIN_MODEL) for another format.
    """
    header = json.loads(_checked(file(HEADER), digest, HEADER))
    if header["format"] != FORMAT:
        raise Unrecoverable(
            Code.BAD_DOMAIN_MODEL, f"{digest[:12]} has format {header['format']}, not {FORMAT}"
        )
    arrays = {name: _loaded(header["files"], f"{name}.npy", file) for name in _ARRAYS}
    vectors = {name: np.array(header[name], np.float64) for name in _VECTORS}
    facts: dict[str, Any] = {**arrays, **vectors, "trained": header["trained"]}
    return DomainModel(labels=tuple(header["labels"]), **facts)


def _loaded(files: Mapping[str, str], name: str, file: Callable[[str], bytes]) -> Any:
    data = _checked(file(name), files[name], name)
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype != np.int32 or len(array) != BUCKETS:
        raise Unrecoverable(Code.BAD_DOMAIN_MODEL, f"{name} is {array.dtype} of {len(array)}")
    return array


def _checked(data: bytes, digest: str, name: str) -> bytes:
    if sha256_hex(data) != digest:
        raise Unrecoverable(Code.DIGEST_MISMATCH, f"{name} of a domain model")
    return data


def _array(values: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(values, "<i4"), allow_pickle=False)
    return buffer.getvalue()
