"""Objects and signatures: whole or not there, and never silently changed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from schemas.digests import folder_digests
from schemas.errors import Code, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer, secret_key


@pytest.fixture
def objects(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(f"file://{tmp_path / 'objects'}")


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_a_folder_comes_back_only_with_its_digests(tmp_path: Path, objects: ObjectFolder) -> None:
    source = folder_of(tmp_path / "a", weights="1", config="2")
    digests = objects.put_folder("x/files", source)
    objects.fetch_folder("x/files", tmp_path / "b", digests)
    assert folder_digests(tmp_path / "b") == digests
    objects.put("x/files/weights", b"changed")
    with pytest.raises(Unrecoverable) as caught:
        objects.fetch_folder("x/files", tmp_path / "c", digests)
    assert caught.value.code is Code.DIGEST_MISMATCH


def test_an_object_is_on_disk_before_it_has_its_name(
    objects: ObjectFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file's bytes, then its name, then every folder that was made for it."""
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        size = path.stat().st_size if path.is_file() else None
        steps.append(f"{path.name.partition('#')[0]}{'' if size is None else f' {size}'}")
        fsync(handle)

    def renamed(path: Path, target: Path) -> Path:
        steps.append("rename")
        assert list(objects.keys("")) == [], "what is staged is not listed"
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    objects.put("a/b/c", b"12345")
    assert steps == ["c 5", "rename", "b", "a", "objects"]
    assert objects.get("a/b/c") == b"12345"
    assert [path.name for path in (tmp_path / "objects/a/b").iterdir()] == ["c"]


def test_a_full_disk_leaves_nothing(objects: ObjectFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unrecoverable) as caught:
        objects.put("a/b", b"1")
    assert caught.value.code is Code.DISK_FULL
    assert list(objects.keys("")) == []


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "s3://other/key", "{root}/../escape"])
def test_an_address_outside_the_root_is_refused(objects: ObjectFolder, uri: str) -> None:
    with pytest.raises(Unrecoverable):
        objects.key(uri.format(root=objects.root))


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_signature_notices_every_change(tmp_path: Path, change: str) -> None:
    folder = folder_of(tmp_path / "adapter", weights="1", config="2")
    signer = Signer(tmp_path / "keys")
    signature = tmp_path / "adapter.sig"
    signer.sign(folder, signature)
    signer.verify(folder, signature)
    if change == "edit":
        (folder / "weights").write_text("3")
    elif change == "add":
        (folder / "extra").write_text("3")
    else:
        (folder / "config").unlink()
    with pytest.raises(Unrecoverable) as caught:
        signer.verify(folder, signature)
    assert caught.value.code is Code.BAD_SIGNATURE


def test_a_foreign_key_does_not_verify(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "adapter", weights="1")
    Signer(tmp_path / "ours").sign(folder, tmp_path / "sig")
    with pytest.raises(Unrecoverable):
        Signer(tmp_path / "theirs").verify(folder, tmp_path / "sig")
    with pytest.raises(Unrecoverable):
        Signer(tmp_path / "ours").verify(folder, tmp_path / "missing")


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "hmac.key"
    assert secret_key(path) == secret_key(path)
    assert len(secret_key(path)) == 32
    Signer(tmp_path / "keys")
    for name in ("hmac.key", "signing.pem"):
        mode = stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode)
        assert mode == 0o600
