"""`lorikeet status`."""

from __future__ import annotations

from typing import Any

import typer

from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    percent,
    print_json,
    print_table,
    wiring_of,
)
from service.cli.partitions import accept_gap_command, partition_of


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(name="status")(status)


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
    print_table(
        "Models", columns, rows, whole=["model", "serves"], spare=["new examples", "last job"]
    )
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
