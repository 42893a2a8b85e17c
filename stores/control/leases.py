"""Leases: who may act. An epoch grows with every change of owner, so a late one can be told."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from stores.control.tables import leases


def acquire(
    connection: Connection, name: str, owner: str, now: datetime, seconds: float
) -> int | None:
    """Take or extend a lease; its epoch, or None while somebody else holds it."""
    row = connection.execute(select(leases).where(leases.c.name == name)).first()
    until = now + timedelta(seconds=seconds)
    if row is None:
        connection.execute(insert(leases).values(name=name, owner=owner, epoch=1, expires_at=until))
        return 1
    if row.owner != owner and row.expires_at > now:
        return None
    epoch = int(row.epoch) + int(row.owner != owner)
    connection.execute(
        update(leases)
        .where(leases.c.name == name)
        .values(owner=owner, epoch=epoch, expires_at=until)
    )
    return epoch


def release(connection: Connection, name: str, owner: str) -> None:
    """Give a lease back before it ends, if it is still ours."""
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.owner == owner))
