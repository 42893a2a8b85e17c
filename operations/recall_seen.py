"""What a process has to know of the partitions it claims, read back from the ledger in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from processors.curation.duplicates import Seen
from schemas.records import TopicPartition
from stores.ledger.recall import Extent, Recall

_IDENTITY = ("offset", "timestamp", "tenant", "source", "id")


class Newest(NamedTuple):
    """The newest row of a partition: its offset, and the digest of its record's value."""

    offset: int
    digest: str


def recall(
    found: Recall, seen: Mapping[TopicPartition, Seen], stored: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Newest]:
    """Fill `seen`, which is empty, for partitions with these next offsets; their newest rows.

    A partition without a row among the last ones that are remembered has none.
    """
    if not stored:
        return {}
    firsts = {tp: seen[tp].first(offset) for tp, offset in stored.items()}
    size = seen[next(iter(stored))].block_rows
    extents = found.extents(firsts, size)
    lowest = {tp: seen[tp].prepare(one[:3] for one in blocks) for tp, blocks in extents.items()}
    for tp, batch in found.rows(lowest, _IDENTITY):
        seen[tp].load(batch)
    for tp in stored:
        seen[tp].loaded()
    pa.default_memory_pool().release_unused()
    return _newest(found, extents)


def _newest(
    found: Recall, extents: Mapping[TopicPartition, list[Extent]]
) -> dict[TopicPartition, Newest]:
    last = {tp: max(one.last for one in blocks) for tp, blocks in extents.items()}
    return {
        tp: Newest(**row)
        for tp, batch in found.rows(last, ("offset", "digest"))
        for row in batch.select(["offset", "digest"]).to_pylist()
    }
