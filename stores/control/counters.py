"""Sufficient statistics, advanced from the ledger's own log.

`apply` takes one commit's rows and moves the cursor in the same transaction, so a commit counts once.
`replace` puts a count of all rows in place of it, at the version that they were read from.
Corrections are counted by tenant: feedback names a run, not a model. For a tenant with several models
the count is an upper bound of each one's; the seal looks closer. What events ask to be erased is on record in
the same transaction.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from schemas.erasures import ErasureKind
from schemas.rollouts import ArmStats
from stores.control import erasures
from stores.control.tables import (
    disposition_counts,
    ledger_cursor,
    ledger_offsets,
    model_totals,
    rollout_units,
    rollouts,
    tenant_totals,
    window_counts,
)
from stores.control.tallies import Key, Tally, Unit, tally

_LEDGER = "ledger"
_COUNTED = (disposition_counts, model_totals, tenant_totals, window_counts, rollout_units)
_METRICS = ("success", "valid", "duration_ms")


def cursor(connection: Connection) -> int:
    """The last ledger version that has been counted; −1 at the start."""
    found = connection.execute(select(ledger_cursor.c.version)).scalar()
    return -1 if found is None else int(found)


def counted_table(connection: Connection) -> str | None:
    """The id of the Delta table that was counted; None before it was noted."""
    return connection.execute(select(ledger_cursor.c.table_id)).scalar()


def note_table(connection: Connection, table_id: str) -> None:
    """Note which Delta table is counted: versions of another one mean something else."""
    _upsert(connection, ledger_cursor, {"ledger": _LEDGER}, {"table_id": table_id})


def apply(
    connection: Connection,
    version: int,
    rows: Iterable[Mapping[str, Any]],
    offsets: Mapping[str, int],
    since: int | None = None,
) -> bool:
    """Count one commit and move the cursor; False if it was counted before.

    `since`: the commit is the next one after that version; False too if the cursor is not there.
    """
    counted = cursor(connection)
    if version <= counted or (since is not None and since != counted):
        return False
    _count(connection, tally(rows))
    _move(connection, version, offsets)
    return True


def replace(connection: Connection, version: int, found: Tally, offsets: Mapping[str, int]) -> None:
    """Put a count of the whole ledger, as of a version, in place of what was counted."""
    for table in (*_COUNTED, ledger_cursor, ledger_offsets):
        connection.execute(delete(table))
    _count(connection, found)
    _move(connection, version, offsets)


def _count(connection: Connection, found: Tally) -> None:
    _add(connection, disposition_counts, ("topic", "partition", "disposition"), found.dispositions)
    _add(connection, model_totals, ("tenant", "model"), found.executions, "executions")
    _add(connection, model_totals, ("tenant", "model"), found.examples, "examples")
    _add(connection, tenant_totals, ("tenant",), found.corrections, "corrections")
    for name in ("executions", "failures"):
        amounts = Counter({key: counts[name] for key, counts in found.window.items()})
        _add(connection, window_counts, ("tenant", "model", "bucket"), amounts, name)
    for key, unit in found.units.items():
        _add_unit(connection, key, unit)
    for (tenant, subject), (asked, author) in sorted(found.subjects.items()):
        erasures.ask(
            connection,
            datetime.fromisoformat(asked),
            tenant=tenant,
            kind=ErasureKind.ERASURE,
            subject=json.loads(subject),
            reason="feedback.received",
            requested_by=f"author:{author}",
        )


def _move(connection: Connection, version: int, offsets: Mapping[str, int]) -> None:
    for partition, offset in offsets.items():
        _upsert(connection, ledger_offsets, {"partition_key": partition}, {"next_offset": offset})
    _upsert(connection, ledger_cursor, {"ledger": _LEDGER}, {"version": version})


def offsets(connection: Connection) -> dict[str, int]:
    """Next offset of each `cluster:topic:partition`, as of the cursor."""
    return {key: int(offset) for key, offset in connection.execute(select(ledger_offsets))}


def dispositions(connection: Connection) -> dict[str, int]:
    """How many records ended in each disposition."""
    query = select(disposition_counts.c.disposition, func.sum(disposition_counts.c.count))
    grouped = connection.execute(query.group_by(disposition_counts.c.disposition))
    return {name: int(count) for name, count in grouped}


def examples(connection: Connection, tenant: str, model: str) -> tuple[int, int]:
    """(accepted runs, corrections) since the beginning."""
    runs = connection.execute(
        select(model_totals.c.examples).where(
            model_totals.c.tenant == tenant, model_totals.c.model == model
        )
    ).scalar()
    edits = connection.execute(
        select(tenant_totals.c.corrections).where(tenant_totals.c.tenant == tenant)
    ).scalar()
    return int(runs or 0), int(edits or 0)


def named_models(connection: Connection) -> dict[tuple[str, str], int]:
    """Executions by (tenant, model) as events name them."""
    columns = model_totals.c
    rows = connection.execute(select(columns.tenant, columns.model, columns.executions))
    return {(tenant, model): int(count) for tenant, model, count in rows}


def recent(connection: Connection, tenant: str, model: str, since: float) -> tuple[int, int]:
    """(executions, failures) in the buckets from `since` (seconds since 1970) on."""
    columns = window_counts.c
    row = connection.execute(
        select(func.sum(columns.executions), func.sum(columns.failures)).where(
            columns.tenant == tenant, columns.model == model, columns.bucket >= since
        )
    ).one()
    return int(row[0] or 0), int(row[1] or 0)


def arm_statistics(connection: Connection, rollout_id: str) -> dict[str, dict[str, ArmStats]]:
    """Metric → arm → statistics over sessions; a session seen in two arms counts in neither.

    A session's value is its mean over its runs. Runs of another tenant or model that name the
    roll-out do not count.
    """
    units = rollout_units.c
    result: dict[str, dict[str, ArmStats]] = {}
    for metric in _METRICS:
        column = {"success": units.successes, "valid": units.valid}.get(metric, units.duration_ms)
        value = column / (units.runs * 1.0)
        rows = connection.execute(
            select(units.arm, func.count(), func.sum(value), func.sum(value * value))
            .where(*_own_units(rollout_id), units.mixed.is_(False))
            .group_by(units.arm)
        )
        result[metric] = {
            arm: ArmStats(n=n, total=float(total), squares=float(squares))
            for arm, n, total, squares in rows
        }
    return result


def mixed_units(connection: Connection, rollout_id: str) -> int:
    """Sessions that were seen in more than one arm."""
    return int(
        connection.execute(
            select(func.count())
            .select_from(rollout_units)
            .where(*_own_units(rollout_id), rollout_units.c.mixed.is_(True))
        ).scalar()
        or 0
    )


def _own_units(rollout_id: str) -> tuple[ColumnElement[bool], ...]:
    units = rollout_units.c
    same = (rollouts.c.tenant == units.tenant, rollouts.c.model == units.model)
    return (units.rollout_id == rollout_id, exists().where(rollouts.c.id == rollout_id, *same))


def _add(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    amounts: Mapping[Key, int],
    column: str = "count",
) -> None:
    for key, amount in amounts.items():
        where = dict(zip(names, key, strict=True))
        changed = connection.execute(
            update(table)
            .where(*(table.c[name] == value for name, value in where.items()))
            .values({column: table.c[column] + amount})
        )
        if not changed.rowcount:
            connection.execute(insert(table).values(**where, **{column: amount}))


def _add_unit(connection: Connection, key: Key, unit: Unit) -> None:
    place = dict(zip(("rollout_id", "tenant", "model", "unit"), key, strict=True))
    arm, mixed = min(unit.arms), len(unit.arms) > 1
    sums = {
        "runs": unit.runs,
        "successes": unit.successes,
        "valid": unit.valid,
        "duration_ms": unit.duration_ms,
    }
    columns = rollout_units.c
    this = [columns[column] == value for column, value in place.items()]
    known = connection.execute(select(rollout_units).where(*this)).first()
    if known is None:
        values = {**place, "arm": arm, "mixed": mixed, **sums}
        connection.execute(insert(rollout_units).values(**values))
        return
    connection.execute(
        update(rollout_units)
        .where(*this)
        .values(
            arm=min(known.arm, arm),
            mixed=bool(known.mixed or known.arm != arm or mixed),
            **{column: columns[column] + amount for column, amount in sums.items()},
        )
    )


def _upsert(
    connection: Connection, table: Table, where: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    changed = connection.execute(
        update(table).where(*(table.c[n] == v for n, v in where.items())).values(**values)
    )
    if not changed.rowcount:
        connection.execute(insert(table).values(**where, **values))
