"""The dead-letter guard: a topic that turned bad is noticed before it is eaten.

It stands outside every catch-all: what it raises ends ingest with exit code 3, before the batch that
tripped it is committed, so that those records are read again once the cause is mended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from consumers.settings import DeadLetterSettings
from schemas.errors import Code, Halted
from schemas.rows import Disposition, Row
from schemas.telemetry import Meter, Metric

_FEWEST = 100


class DeadLetterGuard:
    """The share of dead letters among the last records; those of unknown types are left out."""

    def __init__(self, settings: DeadLetterSettings, meter: Meter) -> None:
        self._settings = settings
        self._meter = meter
        self._chunks: deque[tuple[int, int]] = deque()
        self._records = 0
        self._dead = 0

    @property
    def share(self) -> float:
        """Dead letters over records in the window; 0 while there are fewer than 100."""
        return self._dead / self._records if self._records >= _FEWEST else 0.0

    def see(self, rows: Sequence[Row]) -> None:
        """Count decided rows. Raises Halted(TOO_MANY_DEAD_LETTERS) where ingest is to stop then."""
        dead = sum(row.disposition is Disposition.DEAD_LETTER for row in rows)
        foreign = sum(row.reasons == ("unknown_type",) for row in rows)
        self._add(len(rows) - foreign, dead)
        self._meter.set(Metric.DEAD_LETTER_SHARE, self.share)
        if self._settings.stop and self.share > self._settings.limit:
            raise Halted(
                Code.TOO_MANY_DEAD_LETTERS,
                f"{self._dead} of the last {self._records}, the limit is {self._settings.limit:.0%}",
            )

    def _add(self, records: int, dead: int) -> None:
        self._chunks.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._chunks[0][0] >= self._settings.window:
            old, gone = self._chunks.popleft()
            self._records -= old
            self._dead -= gone
