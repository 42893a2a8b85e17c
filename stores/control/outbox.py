"""The outbox: events decided in the same transaction as what they announce, published later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from schemas.digests import transition_id
from schemas.events import LIFECYCLE_TOPIC
from stores.control.tables import audit, outbox, relay_positions


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that is not known to be published."""

    seq: int
    id: str
    topic: str
    key: str
    type: str
    payload: dict[str, Any]
    created_at: datetime


def add(
    connection: Connection,
    now: datetime,
    *,
    type: str,  # noqa: A002 - CloudEvents' own word
    tenant: str,
    model: str,
    decision_id: str,
    payload: Mapping[str, Any],
    topic: str = LIFECYCLE_TOPIC,
) -> str:
    """Add an event; its id is the UUIDv5 of (tenant, model, decision, type). Adding it again is none."""
    event_id = transition_id(tenant, model, decision_id, type)
    if connection.execute(select(outbox.c.seq).where(outbox.c.id == event_id)).first() is None:
        connection.execute(
            insert(outbox).values(
                id=event_id,
                topic=topic,
                key=f"{tenant}/{model}",
                type=type,
                payload=dict(payload),
                created_at=now,
            )
        )
    return event_id


def pending(connection: Connection, limit: int = 100) -> list[Pending]:
    """Events to publish, in the order in which they were decided."""
    columns = outbox.c
    query = (
        select(
            columns.seq,
            columns.id,
            columns.topic,
            columns.key,
            columns.type,
            columns.payload,
            columns.created_at,
        )
        .where(columns.published_at.is_(None))
        .order_by(columns.seq)
        .limit(limit)
    )
    return [Pending(*row) for row in connection.execute(query)]


def backlog(connection: Connection) -> tuple[int, datetime | None]:
    """How many events wait, and since when the oldest one does."""
    row = connection.execute(
        select(func.count(), func.min(outbox.c.created_at)).where(outbox.c.published_at.is_(None))
    ).one()
    return int(row[0]), row[1]


def mark(connection: Connection, ids: Iterable[str], now: datetime) -> list[str]:
    """Mark events as published; the types of those that were not marked before."""
    marked = []
    for event_id in ids:
        row = connection.execute(
            select(outbox.c.type).where(outbox.c.id == event_id, outbox.c.published_at.is_(None))
        ).first()
        if row:
            connection.execute(
                update(outbox).where(outbox.c.id == event_id).values(published_at=now)
            )
            marked.append(str(row.type))
    return marked


def positions(connection: Connection, topic: str) -> dict[int, int]:
    """Next offset of each partition of an output topic that the relay has confirmed."""
    query = select(relay_positions.c.partition, relay_positions.c.next_offset)
    rows = connection.execute(query.where(relay_positions.c.topic == topic))
    return {int(partition): int(offset) for partition, offset in rows}


def confirm(connection: Connection, topic: str, offsets: Mapping[int, int]) -> None:
    """Set the confirmed positions. One that goes back (a topic made anew) costs reading only."""
    known = positions(connection, topic)
    for partition, offset in offsets.items():
        if partition not in known:
            connection.execute(
                insert(relay_positions).values(topic=topic, partition=partition, next_offset=offset)
            )
        elif offset != known[partition]:
            connection.execute(
                update(relay_positions)
                .where(relay_positions.c.topic == topic, relay_positions.c.partition == partition)
                .values(next_offset=offset)
            )


def note(
    connection: Connection,
    now: datetime,
    *,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an audit row."""
    connection.execute(
        insert(audit).values(
            at=now,
            actor=actor,
            action=action,
            subject=subject,
            detail=dict(detail) if detail is not None else None,
        )
    )
