"""Canonical JSON and content digests: one way to say that two things are the same."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

LORIKEET_NAMESPACE = uuid.UUID("6f0c2f6e-3a7b-5d53-9b0e-6c6f72696b65")


def canonical_json(value: Any) -> bytes:
    """Encode `value` so that equal values give equal bytes: sorted keys, no spaces, UTF-8.

    Raises ValueError for NaN and infinity, which JSON does not have.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


_COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compact_json(value: Any) -> bytes:
    """`value` as JSON in UTF-8 without spaces, keys in their order: how rows keep text.

    Raises ValueError for NaN and infinity.
    """
    return _COMPACT.encode(value).encode()


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """The SHA-256 of a value's canonical JSON."""
    return sha256_hex(canonical_json(value))


def manifest_digest(files: dict[str, str]) -> str:
    """The digest of a folder: SHA-256 over the manifest {relative path: sha256 of the file}."""
    return digest_of(files)


def folder_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative name, sorted: the folder's manifest."""
    return {
        path.relative_to(folder).as_posix(): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def transition_id(tenant: str, model: str, decision: str, transition: str) -> str:
    """A lifecycle event's id: UUIDv5 of what it announces, so that a repeat is the same event."""
    return str(uuid.uuid5(LORIKEET_NAMESPACE, f"{tenant}|{model}|{decision}|{transition}"))
