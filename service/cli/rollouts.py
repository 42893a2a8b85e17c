"""`lorikeet rollouts`: what is being tried on live sessions, and the decisions left to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import (
    AsJson,
    Config,
    Data,
    Reason,
    Tenant,
    actor,
    percent,
    print_json,
    print_table,
    wiring_of,
)

if TYPE_CHECKING:
    from service.wiring import Wiring
    from stores.control.rollouts import Rollout

_ROLLOUTS = typer.Typer(help="Roll-outs.", no_args_is_help=True)
RolloutId = Annotated[str, typer.Argument(help="The roll-out's id.")]


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
            r["id"],
            f"{r['tenant']}/{r['model']}",
            f"{r['from']} → {r['version']}",
            r["state"],
            percent(r["share"]),
            _success(r["arms"]),
        )
        for r in found
    ]
    print_table("Roll-outs", ["id", "model", "versions", "state", "share", "success"], rows)


def _success(arms: dict[str, Any]) -> str:
    return ", ".join(
        f"{arm} {percent(arms[arm]['success'])} of {arms[arm]['sessions']}"
        for arm in ("candidate", "baseline")
        if arm in arms
    )


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
    state = wiring.approve_rollout(rollout_id, clock(), actor=actor())
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
    state = wiring.roll_back.stop(rollout_id, clock(), actor=actor(), reason=reason)
    _converge(wiring, found, str(state), as_json=as_json)


def _require(wiring: Wiring, rollout_id: str) -> Rollout:
    from stores.control import rollouts  # noqa: PLC0415

    return wiring.database.read(lambda c: rollouts.require(c, rollout_id))


def _converge(wiring: Wiring, found: Rollout, state: str, *, as_json: bool) -> None:
    from service.wiring import clock  # noqa: PLC0415

    settings = wiring.settings.model(found.tenant, found.model)
    converged = wiring.converge_gateways(settings, clock)
    if as_json:
        print_json({"id": found.id, "state": state, "converged": converged})
        return
    said = "every gateway follows" if converged else "gateways are still being brought along"
    typer.echo(f"roll-out {found.id} is {state}; {said}")
