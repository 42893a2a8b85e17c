"""Training jobs: made once, claimed under a lease with an epoch, every transition recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from schemas.errors import Code, NotReady, Unrecoverable
from schemas.jobs import NEXT_STATES, JobState
from stores.control.tables import job_transitions, jobs

_ENDED = tuple(state.value for state in JobState if state.ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training job as the database has it. `offsets` are frozen when it is made."""

    id: str
    tenant: str
    model: str
    state: JobState
    trigger: str
    detail: str
    offsets: dict[str, int]
    recipe: dict[str, Any]
    spec: dict[str, Any]
    validation: dict[str, Any]
    examples_at: int
    requested_by: str
    owner: str | None
    epoch: int
    expires_at: datetime | None
    dataset_digest: str | None
    version: str | None
    error_code: str | None
    error: str | None
    created_at: datetime
    updated_at: datetime


_COLUMNS = [jobs.c[field.name] for field in fields(Job)]


def _job(row: Any) -> Job:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    values["state"] = JobState(values["state"])
    return Job(**values)


def create(connection: Connection, now: datetime, **values: Any) -> bool:
    """Make a job; False if it is there already.

    Raises NotReady(JOB_EXISTS) while another job of the model has not ended.
    """
    if connection.execute(select(jobs.c.id).where(jobs.c.id == values["id"])).first():
        return False
    if open_job(connection, values["tenant"], values["model"]):
        raise NotReady(Code.JOB_EXISTS, f"{values['tenant']}/{values['model']}")
    try:
        connection.execute(
            insert(jobs).values(
                state=JobState.PENDING.value, created_at=now, updated_at=now, **values
            )
        )
    except IntegrityError:
        raise NotReady(Code.JOB_EXISTS, f"{values['tenant']}/{values['model']}") from None
    _record(connection, values["id"], JobState.PENDING, now, values["detail"])
    return True


def get(connection: Connection, job_id: str) -> Job | None:
    """One job."""
    row = connection.execute(select(*_COLUMNS).where(jobs.c.id == job_id)).first()
    return _job(row) if row else None


def open_job(connection: Connection, tenant: str, model: str) -> Job | None:
    """The model's job that has not ended."""
    row = connection.execute(
        select(*_COLUMNS).where(
            jobs.c.tenant == tenant, jobs.c.model == model, jobs.c.state.not_in(_ENDED)
        )
    ).first()
    return _job(row) if row else None


def latest(connection: Connection, tenant: str, model: str) -> Job | None:
    """The model's newest job."""
    row = connection.execute(
        select(*_COLUMNS)
        .where(jobs.c.tenant == tenant, jobs.c.model == model)
        .order_by(jobs.c.created_at.desc(), jobs.c.id)
    ).first()
    return _job(row) if row else None


def every(connection: Connection) -> list[Job]:
    """All jobs, newest first."""
    return [
        _job(r) for r in connection.execute(select(*_COLUMNS).order_by(jobs.c.created_at.desc()))
    ]


def claim(connection: Connection, owner: str, now: datetime, seconds: float) -> Job | None:
    """Take the oldest job that nobody works on; its epoch grows with every owner."""
    row = connection.execute(
        select(*_COLUMNS)
        .where(jobs.c.state.not_in(_ENDED), or_(jobs.c.owner.is_(None), jobs.c.expires_at <= now))
        .order_by(jobs.c.created_at)
    ).first()
    if row is None:
        return None
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == row.id, jobs.c.epoch == row.epoch)
        .values(owner=owner, epoch=row.epoch + 1, expires_at=now + timedelta(seconds=seconds))
    )
    return get(connection, row.id) if changed.rowcount else None


def extend(connection: Connection, job: Job, now: datetime, seconds: float) -> bool:
    """Heartbeat: keep the lease; False if it was lost."""
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.epoch == job.epoch, jobs.c.owner == job.owner)
        .values(expires_at=now + timedelta(seconds=seconds))
    )
    return bool(changed.rowcount)


def move(
    connection: Connection,
    job: Job,
    state: JobState,
    now: datetime,
    reason: str = "",
    **values: Any,
) -> Job:
    """A legal transition by the owner of the lease; FAILED and CANCELLED are always legal.

    Raises NotReady(LEASE_LOST) if another worker has the job, Unrecoverable for an illegal step.
    """
    if state not in NEXT_STATES.get(job.state, ()) and state not in (
        JobState.FAILED,
        JobState.CANCELLED,
    ):
        raise Unrecoverable(Code.ILLEGAL_TRANSITION, f"job {job.id}: {job.state} → {state}")
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.epoch == job.epoch, jobs.c.state == job.state.value)
        .values(
            state=state.value,
            updated_at=now,
            **({"owner": None, "expires_at": None} if state.ended else {}),
            **values,
        )
    )
    if not changed.rowcount:
        raise NotReady(Code.LEASE_LOST, job.id)
    _record(connection, job.id, state, now, reason)
    moved = get(connection, job.id)
    assert moved is not None  # noqa: S101 - it was just updated
    return moved


def transitions(connection: Connection, job_id: str) -> list[Mapping[str, Any]]:
    """The job's history, oldest first."""
    query = select(job_transitions).where(job_transitions.c.job_id == job_id)
    return [dict(r._mapping) for r in connection.execute(query.order_by(job_transitions.c.seq))]  # noqa: SLF001


def _record(
    connection: Connection, job_id: str, state: JobState, now: datetime, reason: str
) -> None:
    count = connection.execute(
        select(func.count()).where(job_transitions.c.job_id == job_id)
    ).scalar()
    connection.execute(
        insert(job_transitions).values(
            job_id=job_id, seq=count or 0, state=state.value, at=now, reason=reason
        )
    )
