"""`lorikeet datasets golden`: the cases that a candidate is graded on, and that nobody is trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    Tenant,
    counted,
    print_json,
    print_table,
    refuse,
    utc,
    whole,
    wiring_of,
)
from service.cli.payloads import read, visible

if TYPE_CHECKING:
    from operations.add_golden import Offered
    from schemas.datasets import GoldenCase

_GOLDEN = typer.Typer(help="Golden sets: frozen cases, never in training.", no_args_is_help=True)
_LONGEST = 60
_NAMED = 10


class GraderName(StrEnum):
    """The graders that need no pattern."""

    EXACT = "exact"
    TOOL_CALL = "tool_call"


def add_to(datasets: typer.Typer) -> None:
    """Register the commands."""
    datasets.add_typer(_GOLDEN, name="golden")


@_GOLDEN.command(name="list")
def list_golden(
    model: Annotated[str | None, typer.Argument(help="The model's name (default: all).")] = None,
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Golden sets, oldest first. The newest of a model is kept out of what is sealed from now on."""
    from stores.control import registry  # noqa: PLC0415

    wiring = wiring_of(config, data)
    found = wiring.database.read(registry.golden_list)
    if model is not None:
        wiring.settings.model(tenant, model)
        found = [one for one in found if (one["tenant"], one["model"]) == (tenant, model)]
    newest = {(one["tenant"], one["model"]): one["digest"] for one in found}
    sets = [
        {**one, "newest": newest[one["tenant"], one["model"]] == one["digest"]} for one in found
    ]
    if as_json:
        print_json(sets)
        return
    rows = [
        (
            f"{one['tenant']}/{one['model']}",
            one["digest"][:SHORT],
            one["cases"],
            utc(one["created_at"]),
            "yes" if one["newest"] else "",
        )
        for one in sets
    ]
    columns = ["model", "digest", "cases", "made", "newest"]
    print_table("Golden sets", columns, rows, whole=["digest", "made"])


@_GOLDEN.command(name="show")
def show_golden(
    digest: Annotated[str, typer.Argument(help="The set's digest, or the start of it.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The cases of a set, and whether a sealed dataset's training split holds any of them."""
    from schemas.datasets import Recipe  # noqa: PLC0415
    from stores.control import registry  # noqa: PLC0415

    wiring = wiring_of(config, data)
    known = {one["digest"]: one for one in wiring.database.read(registry.golden_list)}
    wanted = whole(digest, known)
    if wanted is None:
        raise Unrecoverable(Code.NO_SUCH_GOLDEN, digest)
    one, cases = known[wanted], wiring.datasets.golden(wanted)
    settings = wiring.models().get((one["tenant"], one["model"]))
    recipe = settings.recipe if settings else Recipe()
    trained = wiring.add_golden.trained_on(one["tenant"], one["model"], recipe, cases)
    if as_json:
        shown = [
            {**case.model_dump(mode="json"), "trained_on": trained.get(case.case_id)}
            for case in cases
        ]
        print_json({**one, "cases": shown})
        return
    rows = [
        (
            _short(case.case_id),
            case.grader,
            _asked(case),
            _expected(case),
            trained.get(case.case_id, ""),
        )
        for case in cases
    ]
    columns = ["case", "grader", "asks", "expects", "trained on"]
    title = f"{one['tenant']}/{one['model']} {wanted[:SHORT]}"
    print_table(title, columns, rows, whole=["case"], spare=["grader"])
    if trained:
        typer.echo(
            f"{counted(len(trained), 'case')} of {len(cases)} measure nothing: trained on already"
        )


@_GOLDEN.command(name="add")
def add_golden(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE | ROW_ID…", help="Cases as JSON lines (docs/golden.md), or rows."
        ),
    ],
    from_rows: Annotated[
        bool, typer.Option("--from-rows", help="These are rows of the ledger, not a file.")
    ] = False,
    grader: Annotated[
        GraderName | None,
        typer.Option(help="With --from-rows (default: tool_call if it calls a tool, else exact)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also cases that were trained on already.")
    ] = False,
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a new golden set: the cases of the newest one, and these.

    All cases are sound, or none is added. The old set stays as it is.
    """
    from service.wiring import clock  # noqa: PLC0415

    if not from_rows and len(items) > 1:
        raise typer.BadParameter("give one FILE, or rows with --from-rows")
    if grader is not None and not from_rows:
        raise typer.BadParameter("--grader goes with --from-rows; a file names its graders")
    wiring = wiring_of(config, data)
    recipe = wiring.settings.model(tenant, model).recipe
    if from_rows:
        offered = wiring.add_golden.of_rows(tenant, model, recipe, items, grader)
    else:
        lines = read(Path(items[0])).splitlines()
        offered = wiring.add_golden.of_file(tenant, model, recipe, lines)
    _refuse(offered, f"{tenant}/{model}" if from_rows else items[0], force=force)
    made = wiring.add_golden(tenant, model, offered, clock())
    if as_json:
        print_json({**made, "trained_on": offered.trained_on})
        return
    typer.echo(
        f"{tenant}/{model}: {counted(made['added'], 'case')} added, {made['cases']:,} now,"
        f" in {made['digest'][:SHORT]}"
    )
    typer.echo("It is kept out of every dataset that is sealed from now on.")


def _refuse(offered: Offered, where: str, *, force: bool) -> None:
    """Raises Unrecoverable(BAD_GOLDEN_CASE) for what is wrong; what was trained on is said in any case."""
    trained = [f"{case}: trained on already: {how}" for case, how in offered.trained_on.items()]
    refuse(Code.BAD_GOLDEN_CASE, [*offered.faults, *([] if force else trained)], where)
    if not offered.cases:
        raise Unrecoverable(Code.BAD_GOLDEN_CASE, f"{where}: there is no case")
    for line in trained[:_NAMED]:
        typer.echo(line, err=True)
    if trained:
        typer.echo(
            f"{counted(len(trained), 'case')} of {len(offered.cases)} measure nothing", err=True
        )


def _short(case_id: str) -> str:
    """A row without its cluster, a case with the start of its digest; --json has the whole ids."""
    kind, _, rest = case_id.partition(":")
    return f"{kind}:{rest[:SHORT]}" if kind == "case" else rest


def _asked(case: GoldenCase) -> str:
    said = [turn for turn in case.messages if turn["role"] == "user"] or case.messages
    return _brief(str(said[-1].get("content") or ""))


def _expected(case: GoldenCase) -> str:
    calls: Sequence[Mapping[str, Any]] = case.expected.get("tool_calls") or ()
    called = ", ".join(f"→ {call['name']}" for call in calls)
    return _brief(case.pattern or str(case.expected.get("content") or "") or called)


def _brief(text: str) -> str:
    words = visible(" ".join(text.split()))
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
