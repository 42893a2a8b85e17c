"""`lorikeet rollouts`: what is being tried on live sessions, and the decisions left to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    Reason,
    Tenant,
    actor,
    percent,
    print_json,
    print_table,
    whole,
    wiring_of,
)

if TYPE_CHECKING:
    from service.wiring import Wiring
    from stores.control.rollouts import Rollout

_ROLLOUTS = typer.Typer(help="Roll-outs.", no_args_is_help=True)
RolloutId = Annotated[str, typer.Argument(help="The roll-out's id, or the beginning of it.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_ROLLOUTS, name="rollouts")


@_ROLLOUTS.command(name="list")
def list_rollouts(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Roll-outs, newest first."""
    from operations.read_status import rollout_facts  # noqa: PLC0415
    from stores.control import rollouts  # noqa: PLC0415

    wiring = wiring_of(config, data)
    wiring.count_ledger()
    found = wiring.database.read(lambda c: [rollout_facts(c, r) for r in rollouts.every(c)])
    if as_json:
        print_json(found)
        return
    rows = [
        (
            r["id"][:SHORT],
            f"{r['tenant']}/{r['model']}",
            f"{r['from']} → {r['version']}",
            r["state"],
            percent(r["share"]),
            *(_success(r["arms"].get(arm)) for arm in ("candidate", "baseline")),
        )
        for r in found
    ]
    columns = ["id", "model", "versions", "state", "share", "candidate", "baseline"]
    print_table(
        "Roll-outs", columns, rows, whole=["id", "versions", "state"], spare=["share", "baseline"]
    )


def _success(arm: dict[str, Any] | None) -> str:
    return f"{percent(arm['success'])} of {arm['sessions']}" if arm else "–"


@_ROLLOUTS.command(name="start")
def start(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[str, typer.Argument(help="A version in STAGING.")],
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Begin the roll-out of a version that validation left to a person."""
    from service.wiring import clock  # noqa: PLC0415

    wiring = wiring_of(config, data)
    settings = wiring.settings.model(tenant, model)
    made = wiring.approve_rollout.start(settings, version, clock(), actor=actor())
    if as_json:
        print_json({"id": made, "tenant": tenant, "model": model, "version": version})
        return
    typer.echo(f"roll-out {made} of {tenant}/{model} {version} begins")


@_ROLLOUTS.command(name="promote")
def promote(
    rollout_id: RolloutId, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Promote a candidate that the evidence allows; refused, with the reason, where it does not."""
    from service.wiring import clock  # noqa: PLC0415

    wiring = wiring_of(config, data)
    wiring.count_ledger()
    found = _require(wiring, rollout_id)
    state = wiring.approve_rollout(found.id, clock(), actor=actor())
    _converge(wiring, found, str(state), as_json=as_json)


@_ROLLOUTS.command(name="abort")
def abort(
    rollout_id: RolloutId,
    reason: Reason = "by hand",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Stop a running roll-out, now. Works while Kafka is down."""
    from service.wiring import clock  # noqa: PLC0415

    wiring = wiring_of(config, data)
    found = _require(wiring, rollout_id)
    state = wiring.roll_back.stop(found.id, clock(), actor=actor(), reason=reason)
    _converge(wiring, found, str(state), as_json=as_json)


def _require(wiring: Wiring, rollout_id: str) -> Rollout:
    """By its id, or by a beginning that no other has."""
    from stores.control import rollouts  # noqa: PLC0415

    known = [found.id for found in wiring.database.read(rollouts.every)]
    wanted = whole(rollout_id, known) or rollout_id
    return wiring.database.read(lambda c: rollouts.require(c, wanted))


def _converge(wiring: Wiring, found: Rollout, state: str, *, as_json: bool) -> None:
    from service.wiring import clock  # noqa: PLC0415

    settings = wiring.settings.model(found.tenant, found.model)
    converged = wiring.converge_gateways(settings, clock)
    if as_json:
        print_json({"id": found.id, "state": state, "converged": converged})
        return
    said = "every gateway follows" if converged else "gateways are still being brought along"
    typer.echo(f"roll-out {found.id} is {state}; {said}")
