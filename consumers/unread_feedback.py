"""Feedback that lies in Kafka and is not in the ledger yet: a reviewer need not decide twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from consumers.kafka import cluster_id
from consumers.log_walk import LogReader
from consumers.verify_ledger import newest_incarnation
from processors.curation.curate import Curator
from producers.connection import KafkaConnection
from schemas.events import FEEDBACK
from schemas.records import TopicPartition, partition_key
from schemas.rows import Row


async def unread_feedback(
    connection: KafkaConnection,
    prefix: str,
    offsets: Mapping[str, int],
    curator: Callable[[str], Curator],
) -> list[Row]:
    """The rows that ingest will make of it, duplicates included.

    `offsets` are the ledger's; `curator` makes rows of a cluster's records. Raises what `diagnose` finds,
    Unrecoverable(NO_TOPIC).
    """
    cluster = await cluster_id(connection)
    rows: list[Row] = []
    async with LogReader(connection) as log:
        for tp in await log.partitions(f"{prefix}{FEEDBACK}"):
            number = newest_incarnation(offsets, cluster, tp)
            stored = offsets.get(partition_key(cluster, *tp, number), 0)
            rows += await _rows(log, tp, stored, curator(cluster), number)
    return rows


async def _rows(
    log: LogReader, tp: TopicPartition, stored: int, curator: Curator, number: int
) -> list[Row]:
    bounds = await log.bounds(tp)
    return [
        curator.row(record, number)
        async for span in log.walk(tp, max(stored, bounds.first), bounds.stable)
        for record in span.records
    ]
