"""Roll-outs, the route they publish, and the gateways that follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from schemas.errors import Code, NotReady, Unrecoverable
from schemas.rollouts import ROLLOUT_TRANSITIONS, RolloutPolicy, RolloutState, Route
from stores.control.tables import gateway_replicas, rollout_history, rollouts, routes

_RUNNING = ("candidate", "shadow", "canary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One candidate's way. `step_start` holds the sessions an arm had when the step began."""

    id: str
    tenant: str
    model: str
    version: str
    stable_version: str | None
    state: RolloutState
    step: int
    policy: RolloutPolicy
    salt: str
    step_start: dict[str, int]
    evidence: dict[str, Any] | None
    started_at: datetime
    canary_at: datetime | None
    since: datetime
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRoute:
    """What gateways are to serve, since when, and whether all of them do."""

    tenant: str
    model: str
    revision: int
    route: Route
    decision_id: str
    action: str
    decided_at: datetime
    detected_at: datetime | None
    converged_at: datetime | None


_COLUMNS = [rollouts.c[field.name] for field in fields(Rollout)]


def _rollout(row: Any) -> Rollout:
    values = dict(row._mapping)  # noqa: SLF001
    values["state"] = RolloutState(values["state"])
    values["policy"] = RolloutPolicy.model_validate(values["policy"])
    return Rollout(**values)


def create(connection: Connection, now: datetime, by: str, **values: Any) -> bool:
    """Begin a roll-out as `candidate`; False if it is there already."""
    if get(connection, values["id"]) is not None:
        return False
    if running(connection, values["tenant"], values["model"]):
        raise NotReady(Code.ILLEGAL_TRANSITION, f"{values['model']} has a running roll-out")
    connection.execute(
        insert(rollouts).values(
            state=RolloutState.CANDIDATE.value,
            step=0,
            step_start={},
            started_at=now,
            since=now,
            revision=0,
            **values,
        )
    )
    _record(connection, values["id"], RolloutState.CANDIDATE, 0, now, by, "registered", None)
    return True


def get(connection: Connection, rollout_id: str) -> Rollout | None:
    """One roll-out."""
    row = connection.execute(select(*_COLUMNS).where(rollouts.c.id == rollout_id)).first()
    return _rollout(row) if row else None


def require(connection: Connection, rollout_id: str) -> Rollout:
    """One roll-out. Raises Unrecoverable(NO_SUCH_ROLLOUT)."""
    found = get(connection, rollout_id)
    if found is None:
        raise Unrecoverable(Code.NO_SUCH_ROLLOUT, rollout_id)
    return found


def running(connection: Connection, tenant: str, model: str) -> Rollout | None:
    """The model's roll-out that has not ended."""
    row = connection.execute(
        select(*_COLUMNS).where(
            rollouts.c.tenant == tenant, rollouts.c.model == model, rollouts.c.state.in_(_RUNNING)
        )
    ).first()
    return _rollout(row) if row else None


def every(connection: Connection) -> list[Rollout]:
    """All roll-outs, newest first."""
    query = select(*_COLUMNS).order_by(rollouts.c.started_at.desc())
    return [_rollout(row) for row in connection.execute(query)]


def move(
    connection: Connection,
    rollout: Rollout,
    state: RolloutState,
    now: datetime,
    by: str,
    reason: str,
    *,
    step: int | None = None,
    evidence: Mapping[str, Any] | None = None,
    **values: Any,
) -> Rollout:
    """A legal transition, compare-and-set on the revision."""
    if state not in ROLLOUT_TRANSITIONS.get(rollout.state, ()):
        raise Unrecoverable(
            Code.ILLEGAL_TRANSITION, f"roll-out {rollout.id}: {rollout.state} → {state}"
        )
    new_step = rollout.step if step is None else step
    changed = connection.execute(
        update(rollouts)
        .where(rollouts.c.id == rollout.id, rollouts.c.revision == rollout.revision)
        .values(
            state=state.value,
            step=new_step,
            since=now,
            revision=rollout.revision + 1,
            **({"evidence": dict(evidence)} if evidence is not None else {}),
            **values,
        )
    )
    if not changed.rowcount:
        raise NotReady(Code.STALE_WRITE, f"roll-out {rollout.id}")
    _record(connection, rollout.id, state, new_step, now, by, reason, evidence)
    return require(connection, rollout.id)


def history(connection: Connection, rollout_id: str) -> list[Mapping[str, Any]]:
    """The roll-out's transitions, oldest first."""
    query = select(rollout_history).where(rollout_history.c.rollout_id == rollout_id)
    return [dict(r._mapping) for r in connection.execute(query.order_by(rollout_history.c.seq))]  # noqa: SLF001


def route(connection: Connection, tenant: str, model: str) -> DesiredRoute | None:
    """What the model's gateways are to serve; None before anything was decided."""
    row = connection.execute(
        select(routes).where(routes.c.tenant == tenant, routes.c.model == model)
    ).first()
    if row is None:
        return None
    values = dict(row._mapping)  # noqa: SLF001
    values["route"] = Route.model_validate(values["route"])
    return DesiredRoute(**values)


def set_route(
    connection: Connection,
    wanted: Route,
    now: datetime,
    *,
    decision_id: str,
    action: str,
    detected_at: datetime | None = None,
) -> Route:
    """Publish a route under the next revision; gateways have not converged on it yet."""
    current = route(connection, wanted.tenant_id, wanted.model)
    revision = current.revision + 1 if current else 0
    published = wanted.model_copy(
        update={
            "revision": revision,
            "decision_id": decision_id,
            "valid_from": now.astimezone(UTC).isoformat(timespec="microseconds"),
        }
    )
    values = {
        "revision": revision,
        "route": published.model_dump(mode="json"),
        "decision_id": decision_id,
        "action": action,
        "decided_at": now,
        "detected_at": detected_at,
        "converged_at": None,
    }
    if current is None:
        key = {"tenant": wanted.tenant_id, "model": wanted.model}
        connection.execute(insert(routes).values(**key, **values))
    else:
        connection.execute(
            update(routes)
            .where(routes.c.tenant == wanted.tenant_id, routes.c.model == wanted.model)
            .values(**values)
        )
    return published


def mark_converged(
    connection: Connection, tenant: str, model: str, revision: int, now: datetime
) -> bool:
    """Every gateway follows this revision; False if that was known, or it is no longer wanted."""
    changed = connection.execute(
        update(routes)
        .where(
            routes.c.tenant == tenant,
            routes.c.model == model,
            routes.c.revision == revision,
            routes.c.converged_at.is_(None),
        )
        .values(converged_at=now)
    )
    return bool(changed.rowcount)


def note_replica(
    connection: Connection,
    tenant: str,
    model: str,
    url: str,
    revision: int,
    detail: str,
    now: datetime,
) -> None:
    """What a gateway replica was last seen to follow; `revision` −1 is nothing known."""
    columns = gateway_replicas.c
    this = (columns.tenant == tenant, columns.model == model, columns.url == url)
    values = {"revision": revision, "detail": detail, "at": now}
    changed = connection.execute(update(gateway_replicas).where(*this).values(**values))
    if not changed.rowcount:
        connection.execute(
            insert(gateway_replicas).values(tenant=tenant, model=model, url=url, **values)
        )


def replicas(connection: Connection, tenant: str, model: str) -> list[Mapping[str, Any]]:
    """What is known of the model's gateway replicas."""
    query = select(gateway_replicas).where(
        gateway_replicas.c.tenant == tenant, gateway_replicas.c.model == model
    )
    return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def _record(
    connection: Connection,
    rollout_id: str,
    state: RolloutState,
    step: int,
    now: datetime,
    by: str,
    reason: str,
    evidence: Mapping[str, Any] | None,
) -> None:
    count = connection.execute(
        select(func.count()).where(rollout_history.c.rollout_id == rollout_id)
    ).scalar()
    connection.execute(
        insert(rollout_history).values(
            rollout_id=rollout_id,
            seq=count or 0,
            state=state.value,
            step=step,
            at=now,
            by=by,
            reason=reason,
            evidence=dict(evidence) if evidence is not None else None,
        )
    )
