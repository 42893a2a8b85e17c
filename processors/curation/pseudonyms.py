"""Keyed names in place of people's: the same person stays the same, and nobody can tell who it is."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from schemas.digests import compact_json
from schemas.feedback import Subject

_REMEMBERED = 4096
"""Sessions and users come in bursts: a name that is known costs 0.2 µs, a new one 1."""
_BLOCK = 64
_INNER, _OUTER = 0x36, 0x5C


class Pseudonyms:
    """HMAC-SHA256 under the installation's key, 32 hexadecimal digits."""

    def __init__(self, key: bytes) -> None:
        inner = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
        padded = inner.ljust(_BLOCK, b"\0")
        # RFC 2104 with the key's two blocks hashed once: `hmac.digest` takes 1.9 µs, this 0.7.
        self._inner = hashlib.sha256(bytes(byte ^ _INNER for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ _OUTER for byte in padded))
        self._digest = lru_cache(_REMEMBERED)(self._keyed_digest)

    def hide(self, tenant: str, kind: str, value: str | None) -> str | None:
        """The name of a `value`; tenant and kind separate equal values."""
        return None if value is None else self._digest(f"{tenant}\0{kind}\0{value}")

    def finding(self, tenant: str, kind: str, value: str) -> str:
        """The name of a finding in its normal form: rows that hold it can be found by it."""
        return self._keyed_digest(f"{tenant}\0pii.{kind}\0{value}")

    def subject(self, tenant: str, subject: Subject | None) -> str | None:
        """Who is to be forgotten, as JSON, users and sessions hidden like those of the rows."""
        if subject is None:
            return None
        named = subject.model_dump(exclude_none=True, include=set(Subject.model_fields))
        for kind in ("user", "session"):
            if f"{kind}_id" in named:
                named[kind] = self.hide(tenant, kind, named.pop(f"{kind}_id"))
        return compact_json(named).decode()

    def _keyed_digest(self, text: str) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text.encode())
        outer.update(inner.digest())
        return outer.hexdigest()[:32]
