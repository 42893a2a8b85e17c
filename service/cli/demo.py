"""`lorikeet demo`: the whole loop, closed, on this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import percent, print_table, settings_of

if TYPE_CHECKING:
    from service.demo.folder import Options

_DEFAULT = Path(".lorikeet/demo")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(name="demo")(demo)


def demo(
    seed: Annotated[int, typer.Option(help="Another seed gives another run.")] = 0,
    report: Annotated[Path | None, typer.Option(help="Write the summary as JSON.")] = None,
    no_swap: Annotated[
        bool, typer.Option("--no-swap", help="Never load an adapter: nothing may improve then.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")
    ] = False,
    data: Annotated[Path, typer.Option(help="Folder for this run; emptied first.")] = _DEFAULT,
) -> None:
    """The whole loop on an embedded broker, a tiny model, a simulated support desk: 3 minutes."""
    import structlog  # noqa: PLC0415

    from service.demo.folder import Options  # noqa: PLC0415
    from service.demo.story import tell  # noqa: PLC0415

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    options = Options(data.resolve(), seed, not no_swap, keep, report)
    try:
        tell(options, lambda found, running: _print_summary(found, options, running))
    except KeyboardInterrupt:
        typer.echo("Stopped; every process has ended.")
        raise typer.Exit(130) from None


def _print_summary(report: dict[str, Any], options: Options, running: dict[str, str]) -> None:
    phases = {
        "before_drift": "before drift",
        "after_drift": "after drift",
        "after_promotion": "after promotion",
        "after_rollback": "after rollback",
    }
    rates = [
        (phases[phase], percent(r["rate"]), f"{percent(r['low'])} … {percent(r['high'])}", r["n"])
        for phase, r in report["success_rate"].items()
    ]
    typer.echo()
    print_table("Success on live traffic", ["phase", "rate", "95 % interval", "runs"], rates)
    events = report["events"]
    names = [name.replace("_", " ") for name in events]
    print_table("Records: one row each in the ledger", names, [list(events.values())])
    promoted = {found["version"] for found in report["promoted"]}
    returned = {found["version"]: found for found in report["rolled_back"]}
    adapters = [
        (
            a["version"],
            a["adapter"],
            a["adapter_digest"][:16],
            _fate(a["version"], promoted, returned),
        )
        for a in report["adapters"]
    ]
    print_table("Adapters", ["version", "adapter", "digest", "fate"], adapters)
    sealed = [
        (d["version"], d["digest"][:16], d["train"], d["validation"], d["test"])
        for d in report["datasets"]
    ]
    print_table("Datasets", ["version", "digest", "train", "validation", "test"], sealed)
    _print_settings(options.data / "lorikeet.yaml")
    where = options.data
    typer.echo(f"Took {report['duration_s']:.0f} s. Where to look next:")
    program = Path(sys.executable).with_name("lorikeet")
    for command in ("status", "datasets list", "models list", "rollouts list"):
        typer.echo(f"  {program} {command} --config {where}/lorikeet.yaml")
    typer.echo(f"  success over time, drawn: {where}/success.svg")
    typer.echo(f"  the ledger, for any Delta reader: {where}/ledger")
    for name, address in running.items():
        typer.echo(f"  {name}: {address}")
    if running:
        typer.echo("Everything keeps running. Ctrl-C stops it.")


def _fate(version: str, promoted: set[str], returned: dict[str, Any]) -> str:
    if version in returned:
        back = returned[version]
        return f"rolled back to {back['to']} in {back['time_to_restore_s']:.2f} s"
    return "promoted" if version in promoted else "archived"


def _print_settings(file: Path) -> None:
    model = settings_of(file).models[0]
    policy, validation = model.rollout, model.validation
    steps = " and ".join(f"{step:.0%}" for step in policy.steps)
    typer.echo(
        f"Settings of this demonstration: validation needs {validation.min_pass:.0%} of "
        f"{model.recipe.golden_size} golden cases;\ncanary steps of {steps}, at least "
        f"{policy.promote_min} sessions an arm. The decision code and its error budget\n"
        f"({policy.alpha:.0%} over all looks) are production's. All settings: {file}\n"
    )
