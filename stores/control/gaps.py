"""Gaps that somebody accepted, copied from the ledger's commits; a recount leaves them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, insert, select, update

from stores.control.tables import ledger_gaps


class AcceptedGap(NamedTuple):
    """Offsets in [start, end) of a partition that are not in the ledger, on record."""

    cluster: str
    topic: str
    partition: int
    incarnation: int
    start: int
    end: int
    accepted_by: str
    accepted_at: datetime | None
    reason: str
    version: int


def record(connection: Connection, gaps: Iterable[AcceptedGap]) -> None:
    """Keep gaps. One that is known stays as it is, unless it has grown since."""
    for gap in gaps:
        place = ("cluster", "topic", "partition", "incarnation", "start")
        same = [ledger_gaps.c[name] == getattr(gap, name) for name in place]
        known = connection.execute(select(ledger_gaps.c.end).where(*same)).scalar()
        if known is None:
            connection.execute(insert(ledger_gaps).values(**gap._asdict()))
        elif known < gap.end:
            connection.execute(update(ledger_gaps).where(*same).values(**gap._asdict()))


def accepted(connection: Connection) -> list[AcceptedGap]:
    """All gaps, by partition and offset."""
    columns = ledger_gaps.c
    order = (columns.cluster, columns.topic, columns.partition, columns.incarnation, columns.start)
    return [AcceptedGap(*row) for row in connection.execute(select(ledger_gaps).order_by(*order))]
