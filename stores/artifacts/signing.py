"""Signatures over adapter folders, in the OpenSSF model-signing format (EC P-256).

The private key is made once per installation, readable by its owner alone, and never reaches the
training process: the worker signs after validation.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.errors import Code, Unrecoverable


class Signer:
    """Signs and verifies folders with one installation's key."""

    def __init__(self, keys: Path) -> None:
        """Open the key pair in a folder, making it if there is none."""
        self._private = keys / "signing.pem"
        self.public = keys / "signing.pub"
        if not (self._private.exists() and self.public.exists()):
            _make_keys(self._private, self.public)

    def sign(self, folder: Path, signature: Path) -> None:
        """Sign every file of a folder; the signature lies outside it."""
        from model_signing import signing  # noqa: PLC0415 - heavy, used here only

        config = signing.Config().use_elliptic_key_signer(private_key=self._private)
        config.sign(folder, signature)

    def verify(self, folder: Path, signature: Path) -> None:
        """Check a folder. Raises Unrecoverable(BAD_SIGNATURE) if a file changed, came or went."""
        from model_signing import verifying  # noqa: PLC0415 - heavy, used here only

        try:
            config = verifying.Config().use_elliptic_key_verifier(public_key=self.public)
            config.verify(folder, signature)
        except (ValueError, OSError) as error:
            raise Unrecoverable(Code.BAD_SIGNATURE, f"{folder}: {error}") from error


def _make_keys(private: Path, public: Path) -> None:
    """A pair, if there is none; the public key is that of the private one that lies there."""
    private.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with contextlib.suppress(FileExistsError):  # another process made it meanwhile
        _write_secret(private, secret)
    key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    draft = public.with_name(f".{public.name}-{os.getpid()}")
    draft.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    draft.replace(public)


def _write_secret(path: Path, data: bytes) -> None:
    """Whole or not at all, since other processes may be reading. Raises FileExistsError."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        os.link(draft, path)
    finally:
        draft.unlink()


def secret_key(path: Path) -> bytes:
    """32 random bytes kept in a file that only its owner can read; made if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            _write_secret(path, os.urandom(32))
    return path.read_bytes()
