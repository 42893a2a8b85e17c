"""Folders of objects under one root, put there whole and read back against their digests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import LocalStore, from_url

from schemas.digests import folder_digests, sha256_hex
from schemas.errors import Code, Unrecoverable
from stores.artifacts import local

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class ObjectFolder:
    """Objects under a root, `file:///…` or any address obstore knows."""

    def __init__(self, root: str) -> None:
        """Open the root; a local folder is made."""
        self.root = root.rstrip("/")
        self._local: Path | None = None
        if self.root.startswith("file://"):
            path = self._local = Path(self.root.removeprefix("file://"))
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Unrecoverable(Code.UNWRITABLE, f"{path}: {error.strerror}") from error
            self._store: ObjectStore = LocalStore(path)
        else:
            self._store = from_url(self.root)

    def uri(self, key: str) -> str:
        """The full address of a key."""
        return f"{self.root}/{key}"

    def key(self, uri: str) -> str:
        """The key of an address under this root. Raises Unrecoverable for any other address."""
        key = uri.removeprefix(f"{self.root}/")
        if key == uri or ".." in key.split("/"):
            raise Unrecoverable(Code.DIGEST_MISMATCH, f"{uri} is outside {self.root}")
        return key

    def put(self, key: str, data: bytes) -> None:
        """Write one object; readers see all of it or none, and a power cut does not undo it."""
        try:
            if self._local is not None:
                local.write(self._local, key, data)
            else:
                obstore.put(self._store, key, data)
        except OSError as error:
            code = Code.DISK_FULL if "No space left" in str(error) else Code.UNWRITABLE
            raise Unrecoverable(code, self.uri(key)) from error

    def get(self, key: str) -> bytes:
        """Read one object. Raises Unrecoverable(NO_SUCH_FILE)."""
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except FileNotFoundError:
            raise Unrecoverable(Code.NO_SUCH_FILE, self.uri(key)) from None

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete one object, and for good: a power cut does not bring it back. None is fine too."""
        if self._local is not None:
            local.delete(self._local, key)
            return
        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, key)

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys under a prefix."""
        for batch in obstore.list(self._store, prefix):
            for item in batch:
                yield item["path"]

    def put_folder(self, prefix: str, folder: Path) -> dict[str, str]:
        """Store a local folder's files; their SHA-256 digests by relative name."""
        digests = folder_digests(folder)
        for name in digests:
            self.put(f"{prefix}/{name}", (folder / name).read_bytes())
        return digests

    def fetch_folder(self, prefix: str, folder: Path, digests: Mapping[str, str]) -> None:
        """Bring the named files to a local folder; each must have its digest."""
        for name, digest in digests.items():
            data = self.get(f"{prefix}/{name}")
            if sha256_hex(data) != digest:
                raise Unrecoverable(Code.DIGEST_MISMATCH, self.uri(f"{prefix}/{name}"))
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
