"""`lorikeet status` and `lorikeet datasets`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli import golden, review
from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    Tenant,
    percent,
    print_json,
    print_table,
    utc,
    whole,
    wiring_of,
)
from service.cli.partitions import accept_gap_command, partition_of

_DATASETS = typer.Typer(help="Sealed datasets.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(name="status")(status)
    review.add_to(_DATASETS)
    golden.add_to(_DATASETS)
    app.add_typer(_DATASETS, name="datasets")


def status(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """What this installation is doing; needs neither Kafka nor a running process."""
    from operations.read_status import ReadStatus  # noqa: PLC0415
    from service.wiring import clock  # noqa: PLC0415

    wiring = wiring_of(config, data)
    wiring.count_ledger()
    found = ReadStatus(wiring.database, wiring.settings.models)(clock())
    if as_json:
        print_json(found)
        return
    typer.echo(f"data {wiring.settings.places.data}")
    names = [name.replace("_", " ") for name in found["records"]]
    print_table("Records", names, [list(found["records"].values())])
    if found["records"]["dead_letter"]:
        typer.echo("Why dead letters are dead: lorikeet dead-letters list")
    for stop in found["stopped_partitions"]:
        typer.echo(
            f"Stopped: {partition_of(stop['partition_key'])}: the ledger stands at"
            f" {stop['next_offset']}, its log holds {stop['log_start']} to {stop['log_end']}"
            f" ({stop['reason'].replace('_', ' ')})\n"
            f"    {accept_gap_command(stop['partition_key'])}"
        )
    for name, count in found["not_configured"].items():
        typer.echo(f"{count} runs name the model {name}, which the settings do not: nobody learns")
    pending = found["outbox"]["pending"]
    typer.echo(f"Outbox: {pending} waiting" if pending else "Outbox: empty")
    rows = [
        (
            f"{model['tenant']}/{model['model']}",
            model["serves"],
            percent(model["failure_rate"]),
            model["new_examples"],
            model["job"]["state"] if model["job"] else "–",
            _running(model["rollout"]),
            _converged(model),
        )
        for model in found["models"]
    ]
    columns = ["model", "serves", "failures", "new examples", "last job", "roll-out", "converged"]
    print_table("Models", columns, rows, whole=["model", "serves"])
    for model in found["models"]:
        for gateway in model["gateways"]:
            if gateway["detail"]:
                typer.echo(f"{gateway['url']}: {gateway['detail']}")


def _converged(model: dict[str, Any]) -> str:
    if not model["gateways"]:
        return "–"
    return "yes" if model["converged"] else "no"


def _running(rollout: dict[str, Any] | None) -> str:
    return f"{rollout['state']} {rollout['id'][:SHORT]}" if rollout else "–"


@_DATASETS.command(name="list")
def list_datasets(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Sealed datasets, oldest first."""
    from stores.control import registry  # noqa: PLC0415

    found = wiring_of(config, data).database.read(registry.dataset_list)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"{d['tenant']}/{d['model']}",
            d["version"],
            d["digest"][:SHORT],
            *(d["counts"].get(split, 0) for split in ("train", "validation", "test")),
            utc(d["created_at"]),
        )
        for d in found
    ]
    columns = ["model", "version", "digest", "train", "validation", "test", "sealed"]
    print_table("Datasets", columns, rows, whole=["digest", "sealed"])


@_DATASETS.command(name="show")
def show_dataset(
    digest: Annotated[str, typer.Argument(help="The dataset's digest, or the start of it.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """A dataset's manifest: recipe, offsets, counts, and what was left out and why."""
    from schemas.errors import Code, Unrecoverable  # noqa: PLC0415
    from stores.control import registry  # noqa: PLC0415

    wiring = wiring_of(config, data)
    known = [d["digest"] for d in wiring.database.read(registry.dataset_list)]
    wanted = whole(digest, known)
    if wanted is None:
        raise Unrecoverable(Code.NO_SUCH_DATASET, digest)
    _print_manifest(wiring.datasets.manifest(wanted).model_dump(mode="json"), as_json=as_json)


@_DATASETS.command(name="seal")
def seal_dataset(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Seal what the ledger holds now under the model's recipe, without training on it."""
    from service.wiring import clock  # noqa: PLC0415
    from stores.control import counters  # noqa: PLC0415

    wiring = wiring_of(config, data)
    settings = wiring.settings.model(tenant, model)
    wiring.count_ledger()
    offsets = wiring.database.read(counters.offsets)
    manifest = wiring.seal_dataset(tenant, model, settings.recipe, offsets, clock())
    _print_manifest(manifest.model_dump(mode="json"), as_json=as_json)


def _print_manifest(manifest: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(manifest)
        return
    import yaml  # noqa: PLC0415

    typer.echo(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True).rstrip())
