"""Looking: status, datasets, models, roll-outs. And the two things a person must be able to do at once."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import AsJson, Config, Data, percent, print_json, print_table, settings_of

if TYPE_CHECKING:
    from service.wiring import Wiring

_DATASETS = typer.Typer(help="Sealed datasets.", no_args_is_help=True)
_MODELS = typer.Typer(help="Models and their versions.", no_args_is_help=True)
_ROLLOUTS = typer.Typer(help="Roll-outs.", no_args_is_help=True)
Tenant = Annotated[str, typer.Option("--tenant", help="The model's tenant.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(name="status")(status)
    app.add_typer(_DATASETS, name="datasets")
    app.add_typer(_MODELS, name="models")
    app.add_typer(_ROLLOUTS, name="rollouts")


def _wiring(config: Config, data: Data) -> Wiring:
    from schemas.telemetry import NoMeter  # noqa: PLC0415
    from service.wiring import Wiring  # noqa: PLC0415

    return Wiring(settings_of(config, data), NoMeter())


def status(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """What this installation is doing; needs neither Kafka nor a running process."""
    from operations.read_status import ReadStatus  # noqa: PLC0415
    from service.wiring import clock  # noqa: PLC0415

    wiring = _wiring(config, data)
    wiring.count_ledger()
    found = ReadStatus(wiring.database, wiring.settings.models)(clock())
    if as_json:
        print_json(found)
        return
    typer.echo(f"data {wiring.settings.places.data}")
    print_table("Records", list(found["records"]), [list(found["records"].values())])
    pending = found["outbox"]["pending"]
    typer.echo(f"Outbox: {pending} waiting" if pending else "Outbox: empty")
    rows = [
        (
            f"{model['tenant']}/{model['model']}",
            model["serves"],
            percent(model["failure_rate"]),
            model["new_examples"],
            model["job"]["state"] if model["job"] else "–",
            model["rollout"]["state"] if model["rollout"] else "–",
            "yes" if model["converged"] else "no",
        )
        for model in found["models"]
    ]
    columns = ["model", "serves", "failures", "new examples", "last job", "roll-out", "converged"]
    print_table("Models", columns, rows)


@_DATASETS.command(name="list")
def list_datasets(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Sealed datasets, oldest first."""
    from stores.control import registry  # noqa: PLC0415

    found = _wiring(config, data).database.read(registry.dataset_list)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"{d['tenant']}/{d['model']}",
            d["version"],
            d["digest"][:12],
            *(d["counts"].get(split, 0) for split in ("train", "validation", "test")),
            f"{d['created_at']:%Y-%m-%d %H:%M:%S}",
        )
        for d in found
    ]
    columns = ["model", "version", "digest", "train", "validation", "test", "sealed"]
    print_table("Datasets", columns, rows)


@_DATASETS.command(name="show")
def show_dataset(
    digest: Annotated[str, typer.Argument(help="The dataset's digest, or the start of it.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """A dataset's manifest: recipe, offsets, counts, and what was left out and why."""
    from schemas.errors import Code, Unrecoverable  # noqa: PLC0415
    from stores.control import registry  # noqa: PLC0415

    wiring = _wiring(config, data)
    known = [d["digest"] for d in wiring.database.read(registry.dataset_list)]
    matching = [found for found in known if found.startswith(digest)]
    if len(matching) != 1:
        raise Unrecoverable(Code.NO_SUCH_DATASET, digest)
    print_json(wiring.datasets.manifest(matching[0]).model_dump(mode="json"))


@_DATASETS.command(name="seal")
def seal_dataset(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
) -> None:
    """Seal what the ledger holds now under the model's recipe, without training on it."""
    from service.wiring import clock  # noqa: PLC0415
    from stores.control import counters  # noqa: PLC0415

    wiring = _wiring(config, data)
    settings = wiring.settings.model(tenant, model)
    wiring.count_ledger()
    offsets = wiring.database.read(counters.offsets)
    manifest = wiring.seal_dataset(tenant, model, settings.recipe, offsets, clock())
    print_json(manifest.model_dump(mode="json"))


@_MODELS.command(name="list")
def list_models(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Every version of every model, oldest first."""
    from stores.control import registry  # noqa: PLC0415

    wiring = _wiring(config, data)

    def work(connection: Any) -> list[tuple[Any, ...]]:
        rows = []
        for found in registry.every(connection):
            serving = registry.champion(connection, found.tenant, found.model)
            rows.append(
                (
                    f"{found.tenant}/{found.model}",
                    found.version,
                    found.adapter,
                    str(found.stage),
                    (found.validation or {}).get("recommendation"),
                    "serves" if serving and serving.version == found.version else "",
                    f"{found.created_at:%Y-%m-%d %H:%M:%S}",
                )
            )
        return rows

    rows = wiring.database.read(work)
    columns = ["model", "version", "adapter", "stage", "validation", "", "registered"]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    print_table("Versions", columns, rows)


@_MODELS.command(name="rollback")
def rollback(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    to: Annotated[str | None, typer.Option(help="Version, or `base` (default: previous).")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "by hand",
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
) -> None:
    """Return a model to an earlier version, now. Works while Kafka is down."""
    from service.wiring import clock  # noqa: PLC0415

    wiring = _wiring(config, data)
    settings = wiring.settings.model(tenant, model)
    wanted = wiring.roll_back(
        settings, clock(), actor=f"user:{getpass.getuser()}", reason=reason, to=to
    )
    converged = wiring.converge_gateways(settings, clock)
    said = "every gateway serves it" if converged else "gateways are still being brought along"
    typer.echo(f"{tenant}/{model} returns to {wanted}; {said}")


@_ROLLOUTS.command(name="list")
def list_rollouts(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Roll-outs, newest first."""
    from operations.read_status import rollout_facts  # noqa: PLC0415
    from stores.control import rollouts  # noqa: PLC0415

    wiring = _wiring(config, data)
    wiring.count_ledger()
    found = wiring.database.read(lambda c: [rollout_facts(c, r) for r in rollouts.every(c)])
    if as_json:
        print_json(found)
        return
    rows = [
        (
            r["id"],
            f"{r['tenant']}/{r['model']}",
            f"{r['from']} → {r['version']}",
            r["state"],
            percent(r["share"]),
            ", ".join(
                f"{arm} {percent(s['success'])} of {s['sessions']}"
                for arm, s in sorted(r["arms"].items())
                if arm in ("candidate", "baseline")
            ),
        )
        for r in found
    ]
    print_table("Roll-outs", ["id", "model", "versions", "state", "share", "success"], rows)


@_ROLLOUTS.command(name="start")
def start(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[str, typer.Argument(help="A version in STAGING.")],
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
) -> None:
    """Begin the roll-out of a version that validation left to a person."""
    from service.wiring import clock  # noqa: PLC0415

    wiring = _wiring(config, data)
    settings = wiring.settings.model(tenant, model)
    actor = f"user:{getpass.getuser()}"
    made = wiring.approve_rollout.start(settings, version, clock(), actor=actor)
    typer.echo(f"roll-out {made} of {tenant}/{model} {version} begins")


@_ROLLOUTS.command(name="promote")
def promote(
    rollout_id: Annotated[str, typer.Argument(help="The roll-out's id.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Promote a candidate that the evidence allows; refused, with the reason, where it does not."""
    from service.wiring import clock  # noqa: PLC0415
    from stores.control import rollouts  # noqa: PLC0415

    wiring = _wiring(config, data)
    wiring.count_ledger()
    found = wiring.database.read(lambda c: rollouts.require(c, rollout_id))
    actor = f"user:{getpass.getuser()}"
    state = wiring.approve_rollout(rollout_id, clock(), actor=actor)
    settings = wiring.settings.model(found.tenant, found.model)
    converged = wiring.converge_gateways(settings, clock)
    said = "every gateway follows" if converged else "gateways are still being brought along"
    typer.echo(f"roll-out {rollout_id} is {state}; {said}")


@_ROLLOUTS.command(name="abort")
def abort(
    rollout_id: Annotated[str, typer.Argument(help="The roll-out's id.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")] = "by hand",
    config: Config = None,
    data: Data = None,
) -> None:
    """Stop a running roll-out, now. Works while Kafka is down."""
    from service.wiring import clock  # noqa: PLC0415
    from stores.control import rollouts  # noqa: PLC0415

    wiring = _wiring(config, data)
    found = wiring.database.read(lambda c: rollouts.require(c, rollout_id))
    actor = f"user:{getpass.getuser()}"
    state = wiring.roll_back.stop(rollout_id, clock(), actor=actor, reason=reason)
    settings = wiring.settings.model(found.tenant, found.model)
    converged = wiring.converge_gateways(settings, clock)
    said = "every gateway follows" if converged else "gateways are still being brought along"
    typer.echo(f"roll-out {rollout_id} is {state}; {said}")
