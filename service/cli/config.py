"""`lorikeet config`: what the settings are."""

from __future__ import annotations

import typer

from service.cli.options import AsJson, Bootstrap, Config, Data, print_json, settings_of

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
def check(config: Config = None, as_json: AsJson = False) -> None:
    """Say whether the settings can be used."""
    settings = settings_of(config)
    if as_json:
        print_json({"models": [f"{model.tenant}/{model.name}" for model in settings.models]})
        return
    typer.echo("The settings can be used.")
