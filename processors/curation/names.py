"""What agents, models and domains are called: a name stays, unless it is somebody's address or a key."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

_LONGEST = 200
_REMEMBERED = 4096
"""Events have the same names again and again: a name that is known costs 0.1 µs, a new one 4."""


class Names:
    """Pure. `leaves` says whether redaction leaves a text, `hide` gives its name under the key."""

    def __init__(
        self, leaves: Callable[[str], bool], hide: Callable[[str, str, str | None], str | None]
    ) -> None:
        self._leaves, self._hide = leaves, hide
        self._remembered = lru_cache(_REMEMBERED)(self._kept)

    def kept(self, tenant: str, name: str | None) -> str | None:
        """The name; one that redaction would change is its keyed HMAC, the same in all columns of a tenant."""
        if name is None:
            return None
        return self._remembered(tenant, name) if len(name) <= _LONGEST else self._kept(tenant, name)

    def _kept(self, tenant: str, name: str) -> str | None:
        return (
            name if self._leaves(name.replace("\0", "\ufffd")) else self._hide(tenant, "name", name)
        )
