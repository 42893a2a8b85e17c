"""`lorikeet dead-letters resend`: back to where they came from."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.letter_place import CodeOption, LetterPlace, require_code
from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    ask,
    counted,
    print_json,
    settings_of,
    size,
)
from service.cli.payloads import read, visible

if TYPE_CHECKING:
    from consumers.resend import Sent


def add_to(letters: typer.Typer) -> None:
    """Register the command."""
    letters.command(name="resend")(resend)


def resend(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="As `list` prints them.")
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Every dead letter of the error code that --code names.")
    ] = False,
    code: CodeOption = None,
    value: Annotated[
        Path | None,
        typer.Option("--value", help="A file with the mended payload; for one ID only."),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="With --all: also those that would be dead letters again."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be sent.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Put records back on the topic they came from, with their key and headers."""
    if every == bool(ids) or every != (code is not None):
        raise typer.BadParameter("give either IDs, or --all with --code")
    if value is not None and len(ids or ()) != 1:
        raise typer.BadParameter("--value goes with one ID")
    require_code(code)
    mended = None if value is None else read(value)
    place = LetterPlace(settings_of(config, data, bootstrap))
    found = asyncio.run(_ids(place, ids or (), code))
    sent = asyncio.run(_resend(place, found, mended, dry_run=True))
    again = [x for x in sent if x.problem is not None]
    if every and not anyway:
        sent = [x for x in sent if x.problem is None]
    _warn(again, left_out=every and not anyway)
    if not dry_run:
        chosen = [x.id for x in sent]
        question = f"Put {counted(len(chosen), 'record')} back?"
        ask(question, yes=yes or len(chosen) <= 1, remedy="give --yes, or look with --dry-run")
        sent = asyncio.run(_resend(place, chosen, mended, dry_run=False))
    if as_json:
        print_json([{name: getattr(x, name) for name in x.__slots__} for x in sent])
        return
    _say(sent, dry_run=dry_run)


async def _ids(place: LetterPlace, names: Sequence[str], code: str | None) -> list[str]:
    if code is not None:
        return await place.box.of_code(code)
    return [letter.id for letter in await place.box.named(names)]


async def _resend(
    place: LetterPlace, ids: Sequence[str], value: bytes | None, *, dry_run: bool
) -> list[Sent]:
    from consumers.resend import Resend  # noqa: PLC0415
    from producers.kafka import KafkaProducer  # noqa: PLC0415

    producer = KafkaProducer(place.connection)
    try:
        send = Resend(place.box, producer, place.objects, place.settings.curation.limits)
        return await send(ids, value, dry_run=dry_run)
    finally:
        await producer.stop()


def _warn(again: Sequence[Sent], *, left_out: bool) -> None:
    """Of what cannot be read as it is, on stderr."""
    if not again:
        return
    what = "left out" if left_out else "to be sent"
    more = "; --anyway sends them too" if left_out else ""
    typer.echo(
        f"{len(again):,} {what} would be dead letters again, such as {again[0].id}:"
        f" {visible(again[0].problem or '')}{more}",
        err=True,
    )


def _say(sent: Sequence[Sent], *, dry_run: bool) -> None:
    if dry_run:
        for x in sent:
            typer.echo(f"would be sent  {size(x.size):>9}  {x.id}")
            typer.echo(f"    {visible(x.problem or 'it can be read')}")
    else:
        for topic, count in Counter(x.topic for x in sent).items():
            typer.echo(f"{topic}: {count:,} put back")
    if not sent:
        typer.echo("Nothing to put back.")
