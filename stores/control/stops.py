"""Partitions that ingest cannot go on reading: their stored offset lies outside the log.

Kept here, not in a process: a topic made anew may have grown past the stored offset by the time
ingest starts again, and would then be read from the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from stores.control.tables import ingest_stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One stopped partition: the ledger's next offset, and where the log began and ended then."""

    partition_key: str
    next_offset: int
    log_start: int
    log_end: int
    reason: str
    since: datetime


def note(connection: Connection, stop: Stop) -> bool:
    """Keep a stop; False if it was known."""
    if _known(connection, stop):
        return False
    clear(connection, stop.partition_key)
    values = {name: getattr(stop, name) for name in Stop.__slots__}
    connection.execute(insert(ingest_stops).values(**values))
    return True


def clear(connection: Connection, partition_key: str) -> None:
    """The gap was accepted, or the partition is read again."""
    connection.execute(delete(ingest_stops).where(ingest_stops.c.partition_key == partition_key))


def every(connection: Connection) -> list[Stop]:
    """All stops, by partition."""
    rows = connection.execute(select(ingest_stops).order_by(ingest_stops.c.partition_key))
    return [Stop(**row._asdict()) for row in rows]


def _known(connection: Connection, stop: Stop) -> bool:
    columns = ingest_stops.c
    query = select(columns.partition_key).where(
        columns.partition_key == stop.partition_key, columns.next_offset == stop.next_offset
    )
    return connection.execute(query).first() is not None
