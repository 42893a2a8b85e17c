"""Records that the ledger will never have, accepted by somebody.

A gap is kept as a Delta transaction id of its own beside the offset that it moves: it lies in the same
commit and, unlike a commit's metadata, in every checkpoint, so it outlives the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from stores.ledger.commit import OWN

_GAP = f"{OWN}gap:"


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets in [start, end) of a partition (see `partition_key`) that were not and will not be read.

    `note` says who (`accepted_by`), when (`accepted_at`, RFC 3339) and why (`reason`), and may say more.
    Start and end are the same for a topic made anew that is read from its beginning.
    """

    key: str
    start: int
    end: int
    note: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def transaction(gap: Gap) -> str:
    """The transaction id that keeps it."""
    return _GAP + json.dumps(gap.as_json(), sort_keys=True, separators=(",", ":"))


def gaps_of(transactions: Iterable[str]) -> list[Gap]:
    """The gaps among transaction ids, in order."""
    texts = (name.removeprefix(_GAP) for name in transactions if name.startswith(_GAP))
    found = (Gap(**json.loads(text)) for text in texts)
    return sorted(found, key=lambda gap: (gap.key, gap.start, gap.end))
