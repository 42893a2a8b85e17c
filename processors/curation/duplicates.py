"""`duplicate`: the same tenant, source and id, earlier in the same partition.

The window is measured against the partition's watermark, the greatest Kafka timestamp so far, so the
answer depends on the sequence of rows alone: the same after a restart, whatever the batches were.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from schemas.rows import Disposition, Row

Identity = tuple[str, str, str]


class Seen:
    """The identities of one partition inside the window."""

    def __init__(self, window_ms: int) -> None:
        self._window = window_ms
        self._latest: dict[Identity, int] = {}
        self._queue: deque[tuple[int, Identity]] = deque()
        self.watermark = -1

    def load(self, rows: Iterable[tuple[Identity | None, int]]) -> None:
        """Take up earlier rows, in offset order: (identity, Kafka timestamp)."""
        for identity, timestamp in rows:
            self._note(identity, timestamp)

    def judge(self, row: Row) -> Row:
        """The row, or the same row as a duplicate; remembers it either way."""
        identity = identity_of(row)
        known = self._note(identity, row.timestamp)
        if not known:
            return row
        return row._replace(
            disposition=Disposition.DUPLICATE, reasons=("duplicate",), content=None, pii=None
        )

    def _note(self, identity: Identity | None, timestamp: int) -> bool:
        self.watermark = max(self.watermark, timestamp)
        horizon = self.watermark - self._window
        while self._queue and self._queue[0][0] < horizon:
            self._evict(horizon)
        if identity is None:
            return False
        latest = self._latest.get(identity)
        self._latest[identity] = timestamp if latest is None else max(timestamp, latest)
        self._queue.append((timestamp, identity))
        return latest is not None and latest >= horizon

    def _evict(self, horizon: int) -> None:
        _, identity = self._queue.popleft()
        latest = self._latest.get(identity)
        if latest is not None and latest < horizon:
            del self._latest[identity]


def identity_of(row: Row) -> Identity | None:
    """(tenant, source, id); None for what could not be read."""
    if row.tenant is None or row.source is None or row.id is None:
        return None
    return row.tenant, row.source, row.id
