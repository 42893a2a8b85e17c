"""The registry: versions of adapters, their stages and aliases, and what came before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from schemas.errors import Code, NotReady, Unrecoverable
from schemas.rollouts import Stage
from stores.control.tables import adapter_history, adapters, aliases, datasets, golden_datasets

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
"""What serves, what is tried, and what a rollback returns to (after one: the champion itself)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterVersion:
    """One version of a model's adapter."""

    tenant: str
    model: str
    version: str
    adapter: str
    adapter_digest: str
    adapter_uri: str
    base_model: str
    base_digest: str
    rank: int
    alpha: float
    target_modules: list[str]
    signature_uri: str | None
    dataset_version: str
    dataset_digest: str
    job_id: str
    stage: Stage
    validation: dict[str, Any] | None
    probe: dict[str, Any] | None
    created_at: datetime
    revision: int


_COLUMNS = [adapters.c[field.name] for field in fields(AdapterVersion)]


def _version(row: Any) -> AdapterVersion:
    values = dict(row._mapping)  # noqa: SLF001
    values["stage"] = Stage(values["stage"])
    return AdapterVersion(**values)


def register(connection: Connection, now: datetime, by: str, **values: Any) -> bool:
    """Enter a version in DEVELOPMENT; False if this job's version is there already."""
    key = (values["tenant"], values["model"], values["version"])
    known = get(connection, *key)
    if known is not None:
        if known.job_id != values["job_id"]:
            raise NotReady(Code.STALE_WRITE, f"version {values['version']} is taken")
        return False
    stage = Stage.DEVELOPMENT.value
    connection.execute(insert(adapters).values(stage=stage, created_at=now, revision=0, **values))
    _history(connection, key, None, Stage.DEVELOPMENT, now, by, "registered")
    return True


def get(connection: Connection, tenant: str, model: str, version: str) -> AdapterVersion | None:
    """One version."""
    row = connection.execute(
        select(*_COLUMNS).where(
            adapters.c.tenant == tenant, adapters.c.model == model, adapters.c.version == version
        )
    ).first()
    return _version(row) if row else None


def require(connection: Connection, tenant: str, model: str, version: str) -> AdapterVersion:
    """One version. Raises Unrecoverable(NO_SUCH_VERSION)."""
    found = get(connection, tenant, model, version)
    if found is None:
        raise Unrecoverable(Code.NO_SUCH_VERSION, f"{tenant}/{model} {version}")
    return found


def every(
    connection: Connection, tenant: str | None = None, model: str | None = None
) -> list[AdapterVersion]:
    """Versions, oldest first."""
    query = select(*_COLUMNS).order_by(adapters.c.created_at)
    if tenant is not None:
        query = query.where(adapters.c.tenant == tenant)
    if model is not None:
        query = query.where(adapters.c.model == model)
    return [_version(row) for row in connection.execute(query)]


def by_job(connection: Connection, job_id: str) -> AdapterVersion | None:
    """The version a job made."""
    row = connection.execute(select(*_COLUMNS).where(adapters.c.job_id == job_id)).first()
    return _version(row) if row else None


def next_version(connection: Connection, tenant: str, model: str) -> str:
    """The next minor version, 1.0.0 at first."""
    minors = [int(v.version.split(".")[1]) for v in every(connection, tenant, model)]
    return f"1.{max(minors) + 1}.0" if minors else "1.0.0"


def move(
    connection: Connection,
    version: AdapterVersion,
    stage: Stage,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    """Change a version's stage, compare-and-set on its revision."""
    changed = connection.execute(
        update(adapters)
        .where(
            adapters.c.tenant == version.tenant,
            adapters.c.model == version.model,
            adapters.c.version == version.version,
            adapters.c.revision == version.revision,
        )
        .values(stage=stage.value, revision=version.revision + 1)
    )
    if not changed.rowcount:
        raise NotReady(Code.STALE_WRITE, f"{version.model} {version.version}")
    key = (version.tenant, version.model, version.version)
    _history(connection, key, version.stage, stage, now, by, reason)


def alias(connection: Connection, tenant: str, model: str, name: str) -> str | None:
    """The version an alias stands for; None is the base model (or no such alias)."""
    return connection.execute(
        select(aliases.c.version).where(
            aliases.c.tenant == tenant, aliases.c.model == model, aliases.c.alias == name
        )
    ).scalar()


def set_alias(
    connection: Connection, tenant: str, model: str, name: str, version: str | None
) -> None:
    """Point an alias at a version; None is the base model."""
    this = (aliases.c.tenant == tenant, aliases.c.model == model, aliases.c.alias == name)
    connection.execute(delete(aliases).where(*this))
    connection.execute(
        insert(aliases).values(tenant=tenant, model=model, alias=name, version=version)
    )


def champion(connection: Connection, tenant: str, model: str) -> AdapterVersion | None:
    """The version that serves; None is the base model."""
    version = alias(connection, tenant, model, CHAMPION)
    return get(connection, tenant, model, version) if version else None


def history(connection: Connection, tenant: str, model: str) -> list[Mapping[str, Any]]:
    """Every stage change of a model, oldest first."""
    query = select(adapter_history).where(
        adapter_history.c.tenant == tenant, adapter_history.c.model == model
    )
    return [dict(r._mapping) for r in connection.execute(query.order_by(adapter_history.c.seq))]  # noqa: SLF001


def add_dataset(connection: Connection, now: datetime, **values: Any) -> None:
    """Enter a sealed dataset; entering it again changes nothing."""
    known = connection.execute(select(datasets).where(datasets.c.digest == values["digest"]))
    if known.first() is None:
        connection.execute(insert(datasets).values(created_at=now, **values))


def dataset_list(
    connection: Connection, tenant: str | None = None, model: str | None = None
) -> list[Mapping[str, Any]]:
    """Sealed datasets, oldest first."""
    query = select(datasets).order_by(datasets.c.created_at)
    if tenant is not None:
        query = query.where(datasets.c.tenant == tenant, datasets.c.model == model)
    return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def mark_erased(connection: Connection, digest: str, erasure: str, successor: str | None) -> None:
    """Note that a dataset was withdrawn, by which erasure, and what was sealed in its place."""
    connection.execute(
        update(datasets)
        .where(datasets.c.digest == digest)
        .values(erased_by=erasure, successor=successor)
    )


def add_golden(connection: Connection, now: datetime, **values: Any) -> None:
    """Enter a golden set of a model; entering it again changes nothing."""
    this = select(golden_datasets).where(
        *(golden_datasets.c[name] == values[name] for name in ("tenant", "model", "digest"))
    )
    if connection.execute(this).first() is None:
        connection.execute(insert(golden_datasets).values(created_at=now, **values))


def remove_golden(connection: Connection, tenant: str, model: str, digest: str) -> bool:
    """A golden set is none of a model's any more; whether no other model has it."""
    columns = golden_datasets.c
    of_model = (columns.tenant == tenant, columns.model == model)
    connection.execute(delete(golden_datasets).where(*of_model, columns.digest == digest))
    return (
        connection.execute(select(columns.digest).where(columns.digest == digest)).first() is None
    )


def forget_record(connection: Connection, version: AdapterVersion) -> None:
    """Forget the recorded answers of a version: they are examples of its dataset."""
    this = (
        adapters.c.tenant == version.tenant,
        adapters.c.model == version.model,
        adapters.c.version == version.version,
    )
    kept = {name: fact for name, fact in (version.probe or {}).items() if name != "record"}
    connection.execute(update(adapters).where(*this).values(probe=kept or None))


def golden(connection: Connection, tenant: str, model: str) -> Mapping[str, Any] | None:
    """The model's newest golden set."""
    row = connection.execute(
        select(golden_datasets)
        .where(golden_datasets.c.tenant == tenant, golden_datasets.c.model == model)
        .order_by(golden_datasets.c.created_at.desc())
    ).first()
    return dict(row._mapping) if row else None  # noqa: SLF001


def golden_list(connection: Connection) -> list[Mapping[str, Any]]:
    """Golden sets of all models, oldest first."""
    query = select(golden_datasets).order_by(golden_datasets.c.created_at)
    return [dict(row._mapping) for row in connection.execute(query)]  # noqa: SLF001


def _history(
    connection: Connection,
    key: tuple[str, str, str],
    before: Stage | None,
    after: Stage,
    now: datetime,
    by: str,
    reason: str,
) -> None:
    tenant, model, version = key
    connection.execute(
        insert(adapter_history).values(
            tenant=tenant,
            model=model,
            version=version,
            from_stage=before.value if before else None,
            to_stage=after.value,
            at=now,
            by=by,
            reason=reason,
        )
    )
