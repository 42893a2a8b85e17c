"""What lies under an adapter's name is the adapter that the registry means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from operations.fetch_adapter import FetchAdapter
from operations.register_adapter import RegisterAdapter
from schemas.digests import canonical_json, folder_digests, manifest_digest
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer
from stores.control.registry import AdapterVersion
from tests.installation import MODEL, database, register


class Store:
    """Objects, a key, and what stores and fetches adapters with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = ObjectFolder(f"file://{folder / 'objects'}")
        self.signer = Signer(folder / "keys")
        self.fetch = FetchAdapter(self.objects, self.signer, folder / "serving")

    def adapter(self, version: str, weights: bytes) -> AdapterVersion:
        """A registered adapter."""
        files = self.folder / version
        files.mkdir()
        (files / "adapter_model.safetensors").write_bytes(weights)
        stored = RegisterAdapter(self.objects, self.signer).store(files, MODEL)
        control = database(self.folder)
        return control.write(lambda c: register(c, version, **stored))

    def prefix(self, version: AdapterVersion) -> str:
        return self.objects.key(version.adapter_uri)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_it_is_brought_once_and_mended_when_somebody_changed_it(store: Store) -> None:
    version = store.adapter("1.0.0", b"good")
    folder = store.fetch(version)
    assert manifest_digest(folder_digests(folder)) == version.adapter_digest
    inode = folder.stat().st_ino
    assert store.fetch(version).stat().st_ino == inode, "gateways may have it open"
    (folder / "adapter_model.safetensors").write_bytes(b"evil")
    (folder / "more.bin").write_bytes(b"evil")
    assert folder_digests(store.fetch(version)) == folder_digests(store.folder / "1.0.0")
    assert [path.name for path in (store.folder / "serving").iterdir()] == [version.adapter]


def _swap(store: Store, version: AdapterVersion) -> None:
    """Another adapter of this installation, signed by it, in the place of this one."""
    other = store.adapter("1.1.0", b"rejected")
    for name in ("files/adapter_model.safetensors", "manifest.json", "adapter.sig"):
        store.objects.put(
            f"{store.prefix(version)}/{name}", store.objects.get(f"{store.prefix(other)}/{name}")
        )


def _alter(store: Store, version: AdapterVersion) -> None:
    """Other weights, and a manifest that names them."""
    files = store.folder / "evil"
    files.mkdir()
    (files / "adapter_model.safetensors").write_bytes(b"evil")
    store.objects.put_folder(f"{store.prefix(version)}/files", files)
    store.objects.put(
        f"{store.prefix(version)}/manifest.json", canonical_json(folder_digests(files))
    )


def _weights(store: Store, version: AdapterVersion) -> None:
    store.objects.put(f"{store.prefix(version)}/files/adapter_model.safetensors", b"evil")


def _signature(store: Store, version: AdapterVersion) -> None:
    forged = store.folder / "forged.sig"
    Signer(store.folder / "thief").sign(store.folder / "1.0.0", forged)
    store.objects.put(f"{store.prefix(version)}/adapter.sig", forged.read_bytes())


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (_swap, Code.DIGEST_MISMATCH),
        (_alter, Code.DIGEST_MISMATCH),
        (_weights, Code.DIGEST_MISMATCH),
        (_signature, Code.BAD_SIGNATURE),
    ],
)
def test_anything_else_is_refused(
    store: Store, tamper: Callable[[Store, AdapterVersion], None], code: Code
) -> None:
    version = store.adapter("1.0.0", b"good")
    tamper(store, version)
    with pytest.raises(Unrecoverable) as caught:
        store.fetch(version)
    assert caught.value.code is code
    assert list((store.folder / "serving").glob("*")) == []
