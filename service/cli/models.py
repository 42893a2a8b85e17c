"""`lorikeet models`: the versions, and the way back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    Reason,
    Tenant,
    actor,
    print_json,
    print_table,
    utc,
    wiring_of,
)

_MODELS = typer.Typer(help="Models and their versions.", no_args_is_help=True)
_COLUMNS = (
    "model",
    "version",
    "adapter",
    "stage",
    "validation",
    "serves",
    "dataset",
    "registered",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_MODELS, name="models")


@_MODELS.command(name="list")
def list_models(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Every version of every model, oldest first."""
    found = wiring_of(config, data).database.read(_versions)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"{v['tenant']}/{v['model']}",
            v["version"],
            v["adapter"],
            v["stage"],
            v["validation"],
            "yes" if v["serves"] else "",
            v["dataset"][:SHORT],
            utc(v["registered"]),
        )
        for v in found
    ]
    print_table(
        "Versions",
        _COLUMNS,
        rows,
        whole=["version", "adapter", "dataset", "registered"],
        spare=["adapter", "registered", "validation"],
    )


def _versions(connection: Any) -> list[dict[str, Any]]:
    from stores.control import registry  # noqa: PLC0415

    found = []
    for v in registry.every(connection):
        serving = registry.champion(connection, v.tenant, v.model)
        found.append(
            {
                "tenant": v.tenant,
                "model": v.model,
                "version": v.version,
                "adapter": v.adapter,
                "stage": str(v.stage),
                "validation": (v.validation or {}).get("recommendation"),
                "serves": serving is not None and serving.version == v.version,
                "dataset": v.dataset_digest,
                "dataset_version": v.dataset_version,
                "registered": v.created_at,
            }
        )
    return found


@_MODELS.command(name="rollback")
def rollback(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    to: Annotated[str | None, typer.Option(help="Version, or `base` (default: previous).")] = None,
    reason: Reason = "by hand",
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Return a model to an earlier version, now. Works while Kafka is down."""
    from service.wiring import clock  # noqa: PLC0415

    wiring = wiring_of(config, data)
    settings = wiring.settings.model(tenant, model)
    wanted = wiring.roll_back(settings, clock(), actor=actor(), reason=reason, to=to)
    converged = wiring.converge_gateways(settings, clock)
    if as_json:
        print_json({"tenant": tenant, "model": model, "to": wanted, "converged": converged})
        return
    said = "every gateway serves it" if converged else "gateways are still being brought along"
    typer.echo(f"{tenant}/{model} returns to {wanted}; {said}")
