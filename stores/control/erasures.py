"""Erasures: asked for once, carried out step by step, each step on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from schemas.digests import digest_of
from schemas.erasures import Erasure, ErasureKind, ErasureState
from stores.control import outbox
from stores.control.tables import erased_runs, erasures

_COLUMNS = [column for column in erasures.c if column.name != "revision"]


def erasure_id(tenant: str, kind: ErasureKind, subject: Mapping[str, str]) -> str:
    """The same for whoever asks for the same thing."""
    return digest_of([tenant, str(kind), dict(subject)])[:16]


def ask(
    connection: Connection,
    now: datetime,
    *,
    tenant: str,
    kind: ErasureKind,
    subject: Mapping[str, str],
    reason: str,
    requested_by: str,
) -> str:
    """Record what was asked for, with an audit note; its id. Asking again changes nothing."""
    name = erasure_id(tenant, kind, subject)
    if get(connection, name) is not None:
        return name
    connection.execute(
        insert(erasures).values(
            id=name,
            tenant=tenant,
            kind=kind.value,
            subject=dict(subject),
            reason=reason,
            requested_by=requested_by,
            requested_at=now,
            state=ErasureState.ASKED.value,
            revision=0,
            report={},
            updated_at=now,
        )
    )
    outbox.note(
        connection,
        now,
        actor=requested_by,
        action=f"{kind}.asked",
        subject=name,
        detail={"tenant": tenant, "subject": dict(subject), "reason": reason},
    )
    return name


def get(connection: Connection, name: str) -> Erasure | None:
    """One erasure."""
    row = connection.execute(select(*_COLUMNS).where(erasures.c.id == name)).first()
    return _erasure(row) if row else None


def every(connection: Connection) -> list[Erasure]:
    """All erasures in the order in which they were asked for, which is that in which they are done."""
    ordered = select(*_COLUMNS).order_by(erasures.c.requested_at, erasures.c.id)
    return [_erasure(row) for row in connection.execute(ordered)]


def names(connection: Connection) -> list[str]:
    """The ids of all erasures: with another list, rows are decided otherwise."""
    return [one.id for one in every(connection)]


def reach(
    connection: Connection,
    name: str,
    state: ErasureState,
    now: datetime,
    report: Mapping[str, Any],
    certificate: str | None = None,
) -> None:
    """Note how far it is, and add to its report."""
    found = get(connection, name)
    known = found.report if found else {}
    connection.execute(
        update(erasures)
        .where(erasures.c.id == name)
        .values(
            state=state.value,
            report={**known, **report},
            updated_at=now,
            **({"certificate": certificate} if certificate else {}),
        )
    )


def report(connection: Connection, name: str) -> Mapping[str, Any]:
    """What was done so far."""
    found = get(connection, name)
    return found.report if found else {}


def note(connection: Connection, name: str, now: datetime, **said: Any) -> None:
    """Add to the report; the state stays."""
    found = get(connection, name)
    if found is not None:
        reach(connection, name, found.state, now, said)


def add_runs(connection: Connection, runs: Iterable[tuple[str, str]]) -> None:
    """Note runs that are emptied, as (digest, erasure): what is said of them later is emptied too."""
    touched = set()
    for run, name in dict.fromkeys(runs):
        this = (erased_runs.c.run == run, erased_runs.c.erasure == name)
        if connection.execute(select(erased_runs.c.run).where(*this)).first() is None:
            connection.execute(insert(erased_runs).values(run=run, erasure=name))
            touched.add(name)
    for name in touched:
        changed = {"revision": erasures.c.revision + 1}
        connection.execute(update(erasures).where(erasures.c.id == name).values(**changed))


def runs(connection: Connection) -> list[tuple[str, str]]:
    """(digest, erasure) of every run that was emptied."""
    return [(run, name) for run, name in connection.execute(select(erased_runs))]


def stamp(connection: Connection) -> tuple[int, int]:
    """Something that changes with every erasure and every run that is noted."""
    row = connection.execute(select(func.count(), func.sum(erasures.c.revision))).one()
    return int(row[0]), int(row[1] or 0)


def _erasure(row: Any) -> Erasure:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    values["kind"] = ErasureKind(values["kind"])
    values["state"] = ErasureState(values["state"])
    return Erasure(**values)
