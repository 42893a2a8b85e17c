"""Certificates as objects: JSON and Markdown under the digest of the JSON, with a signature beside them.

erasures/<digest>/certificate.json, certificate.md
erasures/<digest>.sig
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations.erasing.certificate import markdown
from schemas.digests import canonical_json, sha256_hex
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer

_JSON, _MARKDOWN = "certificate.json", "certificate.md"


class Certificates:
    """Signed with the installation's key, as adapters are."""

    def __init__(self, objects: ObjectFolder, signer: Signer) -> None:
        self._objects = objects
        self._signer = signer

    def write(self, said: Mapping[str, Any]) -> str:
        """Store a certificate; its digest."""
        text = canonical_json(said)
        digest = sha256_hex(text)
        with _folder() as (files, signature):
            (files / _JSON).write_bytes(text)
            (files / _MARKDOWN).write_text(markdown(said, digest))
            self._signer.sign(files, signature)
            for name in (_JSON, _MARKDOWN):
                self._objects.put(f"{_key(digest)}/{name}", (files / name).read_bytes())
            self._objects.put(f"{_key(digest)}.sig", signature.read_bytes())
        return digest

    def every(self) -> Iterator[dict[str, Any]]:
        """All certificates as JSON, each checked."""
        for key in sorted(self._objects.keys("erasures")):
            if key.endswith(f"/{_JSON}"):
                yield self.read(key.split("/")[-2])[0]

    def read(self, digest: str) -> tuple[dict[str, Any], str]:
        """A certificate as JSON and as Markdown. Raises Unrecoverable(BAD_SIGNATURE, DIGEST_MISMATCH)."""
        with _folder() as (files, signature):
            for name in (_JSON, _MARKDOWN):
                (files / name).write_bytes(self._objects.get(f"{_key(digest)}/{name}"))
            signature.write_bytes(self._objects.get(f"{_key(digest)}.sig"))
            self._signer.verify(files, signature)
            text = (files / _JSON).read_bytes()
            if sha256_hex(text) != digest:
                raise Unrecoverable(Code.DIGEST_MISMATCH, _key(digest))
            return json.loads(text), (files / _MARKDOWN).read_text()


@contextmanager
def _folder() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        yield files, Path(folder) / "certificate.sig"


def _key(digest: str) -> str:
    return f"erasures/{digest}"
