"""`lorikeet domains train`: learn which domain a text belongs to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.options import (
    AsJson,
    Config,
    Data,
    counted,
    percent,
    print_json,
    print_table,
    wiring_of,
)

_DOMAINS = typer.Typer(help="The classifier of domains.", no_args_is_help=True)
_WINDOW = 30.0


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_DOMAINS, name="domains")


@_DOMAINS.callback()
def _named() -> None:
    """Make `train` a command of its own: typer would run an only one by the group's name."""


@_DOMAINS.command(name="train")
def train(
    tenant: Annotated[str, typer.Option("--tenant", help="Whose events.")] = "default",
    days: Annotated[
        float, typer.Option(min=0.01, help="How far back from the newest of them, by event time.")
    ] = _WINDOW,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Fit a classifier on the events that declare their domain, and measure it on tasks held out.

    What it is not sure of is `unknown`. The digest that it prints is its version.
    """
    found = wiring_of(config, data).train_domains(tenant, days=days)
    if as_json:
        print_json(found)
        return
    rows = [_row(name, found) for name in found["domains"]]
    columns = ("domain", "texts", "texts tested", "right", "called unknown")
    print_table("Domains", columns, rows, whole=["domain"])
    for name, tasks in found["left_out"].items():
        typer.echo(f"Left out: {name}, which has only {counted(tasks, 'task')}")
    typer.echo(
        f"On {counted(found['tested'], 'text')} of held-out tasks: {percent(found['accuracy'])} right,"
        f" {percent(found['called_unknown'])} called unknown"
    )
    typer.echo(f"Model {found['digest']}")


def _row(name: str, found: dict[str, Any]) -> tuple[Any, ...]:
    one = found["domains"][name]
    return name, found["texts"][name], one["tested"], percent(one["right"]), percent(one["unknown"])
