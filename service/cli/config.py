"""`lorikeet config`: what the settings are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.options import AsJson, Bootstrap, Config, Data, print_json, settings_of

if TYPE_CHECKING:
    from service.settings import Settings

_CONFIG = typer.Typer(help="The effective settings.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_CONFIG, name="config")


@_CONFIG.command(name="show")
def show(
    config: Config = None, data: Data = None, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Print the effective tree with secrets masked."""
    import yaml  # noqa: PLC0415

    from service.settings import masked  # noqa: PLC0415

    tree = masked(settings_of(config, data, bootstrap))
    if as_json:
        print_json(tree)
    else:
        typer.echo(yaml.safe_dump(tree, sort_keys=False).rstrip())


@_CONFIG.command(name="check")
def check(
    config: Config = None, data: Data = None, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Say whether the settings can be used."""
    settings = settings_of(config, data, bootstrap)
    if as_json:
        print_json({"models": [f"{model.tenant}/{model.name}" for model in settings.models]})
        return
    typer.echo("The settings can be used.")
    for note in _notes(settings):
        typer.echo(f"Note: {note}")


def _notes(settings: Settings) -> list[str]:
    """What is allowed and may still surprise."""
    if not settings.models:
        return ["no models: events are kept, nothing is trained"]
    notes = []
    for model in settings.models:
        name = f"{model.tenant}/{model.name}"
        if not model.base:
            notes.append(f"{name} has no base: it is never trained")
        elif not (Path(model.base) / "config.json").exists():
            notes.append(f"{name}: no base model lies at {model.base} on this machine")
        if not model.gateways:
            notes.append(f"{name} has no gateways: adapters are registered and not rolled out")
    return notes
