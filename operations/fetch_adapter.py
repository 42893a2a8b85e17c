"""Bring a registered adapter to this machine, and believe nothing but the registry about it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path

from schemas.digests import folder_digests, manifest_digest
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer
from stores.control.registry import AdapterVersion


class FetchAdapter:
    """Digest first, then signature, then the name: what lies under an adapter's name is that one."""

    def __init__(self, objects: ObjectFolder, signer: Signer, folder: Path) -> None:
        """`folder` holds one folder an adapter; gateways load from there."""
        self._objects = objects
        self._signer = signer
        self._folder = folder

    def __call__(self, version: AdapterVersion) -> Path:
        """Its folder. A sound one that is there already is used again.

        Raises Unrecoverable(DIGEST_MISMATCH) where the store holds other files than the registry
        says, and (BAD_SIGNATURE) where this installation did not sign them.
        """
        prefix = self._objects.key(version.adapter_uri)
        digests: dict[str, str] = json.loads(self._objects.get(f"{prefix}/manifest.json"))
        if manifest_digest(digests) != version.adapter_digest:
            raise Unrecoverable(
                Code.DIGEST_MISMATCH, f"{version.adapter_uri} is not the registered adapter"
            )
        target = self._folder / version.adapter
        trial = self._folder / f".{version.adapter}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            self._objects.fetch_folder(f"{prefix}/files", trial / "files", digests)
            signature = trial / "adapter.sig"
            signature.write_bytes(self._objects.get(f"{prefix}/adapter.sig"))
            self._signer.verify(trial / "files", signature)
            if not target.exists() or folder_digests(target) != digests:
                if target.exists():
                    target.rename(trial / "changed")
                (trial / "files").rename(target)
        finally:
            shutil.rmtree(trial, ignore_errors=True)
        return target
