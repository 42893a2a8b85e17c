"""`lorikeet dead-letters`: look at what could not be read, mend it, put it back."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    print_json,
    print_table,
    quiet_kafka,
    settings_of,
)
from service.cli.payloads import milliseconds, moment, plain, read, text_of, visible, write

if TYPE_CHECKING:
    from consumers.letter_box import LetterBox
    from consumers.resend import Sent
    from producers.connection import KafkaConnection
    from schemas.letters import Letter
    from service.settings import Settings
    from stores.artifacts.objects import ObjectFolder

_LETTERS = typer.Typer(help="Records that could not be read.", no_args_is_help=True)
CodeOption = Annotated[
    str | None, typer.Option("--code", help="Only those of an error code, e.g. E7006.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_LETTERS, name="dead-letters")


class _Place:
    """What the commands need of an installation; folders are opened when something lies there."""

    def __init__(self, settings: Settings) -> None:
        quiet_kafka()
        self.settings = settings

    @cached_property
    def box(self) -> LetterBox:
        from consumers.letter_box import LetterBox  # noqa: PLC0415

        return LetterBox(self.connection, self.settings.kafka.prefix)

    @cached_property
    def connection(self) -> KafkaConnection:
        from producers.connection import KafkaConnection  # noqa: PLC0415

        return KafkaConnection.of(self.settings.kafka)

    def objects(self) -> ObjectFolder:
        from stores.artifacts.objects import ObjectFolder  # noqa: PLC0415

        return ObjectFolder(self.settings.places.objects)


@_LETTERS.command(name="list")
def list_letters(
    code: CodeOption = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="Only those read from this topic.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only records since then, ISO 8601."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest so many.")] = 50,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Dead letters, newest last: when and where the record lay, and what was wrong with it."""
    after = 0 if since is None else milliseconds(since)
    place = _Place(settings_of(config, data, bootstrap))

    def wanted(letter: Letter) -> bool:
        return (
            code in (None, letter.code)
            and topic in (None, letter.topic)
            and letter.timestamp >= after
        )

    found = asyncio.run(place.box.newest(wanted, limit))
    if as_json:
        print_json([_facts(letter) for letter in found])
        return
    rows = [
        (f"{moment(x.timestamp):%Y-%m-%d %H:%M}", x.code, x.size, x.short_id, _brief(x))
        for x in found
    ]
    print_table("Dead letters", ["record's time", "code", "bytes", "id", "why"], rows)


@_LETTERS.command(name="show")
def show_letter(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` prints it.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the payload to a file, byte for byte.")
    ] = None,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """One letter: its headers, its key and its payload, wherever it lies."""
    from consumers.dead_letters import original  # noqa: PLC0415

    place = _Place(settings_of(config, data, bootstrap))
    (letter,) = asyncio.run(place.box.named([letter_id]))
    key, value, headers = original(letter, place.objects)
    if out is not None:
        write(out, value or b"")
    if as_json:
        pairs = [[name, plain(text)] for name, text in headers]
        print_json({**_facts(letter), "key": plain(key), "headers": pairs, "value": plain(value)})
        return
    typer.echo(f"{letter.id}  {moment(letter.timestamp).isoformat()}")
    for name, said in letter.said.items():
        typer.echo(f"{visible(name)}: {visible(said)}")
    typer.echo("\nThe record's own headers:" if headers else "\nThe record has no headers.")
    for name, text in headers:
        typer.echo(f"{visible(name)}: {text_of(text)}")
    typer.echo(f"\nKey: {text_of(key)}")
    digest = hashlib.sha256(value or b"").hexdigest()
    typer.echo(f"Value, {len(value or b'')} bytes, sha256 {digest}:\n{text_of(value)}")


@_LETTERS.command(name="resend")
def resend(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` prints them.")
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All of --code.")] = False,
    code: CodeOption = None,
    value: Annotated[
        Path | None, typer.Option("--value", help="File with the mended payload, for one ID.")
    ] = None,
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
    mended = None if value is None else read(value)
    place = _Place(settings_of(config, data, bootstrap))
    found = asyncio.run(_ids(place, ids or (), code))
    if len(found) > 1 and not (yes or dry_run):
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{len(found)} records: give --yes, or look with --dry-run")
        typer.confirm(f"Put {len(found)} records back?", abort=True, err=True)
    sent = asyncio.run(_resend(place, found, mended, dry_run=dry_run))
    if as_json:
        print_json([{name: getattr(x, name) for name in x.__slots__} for x in sent])
        return
    _say(sent, dry_run=dry_run)


async def _ids(place: _Place, names: Sequence[str], code: str | None) -> list[str]:
    if code is not None:
        return await place.box.of_code(code)
    return [letter.id for letter in await place.box.named(names)]


async def _resend(
    place: _Place, ids: Sequence[str], value: bytes | None, *, dry_run: bool
) -> list[Sent]:
    from consumers.resend import Resend  # noqa: PLC0415
    from producers.kafka import KafkaProducer  # noqa: PLC0415

    producer = KafkaProducer(place.connection)
    try:
        send = Resend(place.box, producer, place.objects, place.settings.curation.limits)
        return await send(ids, value, dry_run=dry_run)
    finally:
        await producer.stop()


def _say(sent: Sequence[Sent], *, dry_run: bool) -> None:
    if dry_run:
        rows = [(x.id, x.size, visible(x.problem or "it can be read")) for x in sent]
        print_table("Would be sent", ["id", "bytes", "and then"], rows)
        return
    for topic, count in Counter(x.topic for x in sent).items():
        typer.echo(f"{topic}: {count} put back")
    dead = sum(x.problem is not None for x in sent)
    if dead:
        typer.echo(f"{dead} of them cannot be read as they are: they will be dead letters again")
    if not sent:
        typer.echo("Nothing to put back.")


def _facts(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "time": moment(letter.timestamp).isoformat(),
        "code": letter.code,
        "message": letter.message,
        "bytes": letter.size,
        "uri": letter.uri,
        "replaces": letter.replaces,
        "said": dict(letter.said),
    }


def _brief(letter: Letter) -> str:
    """What was found, in a few words; without the reason's name where words follow."""
    reason, _, words = letter.message.partition(": ")
    text = visible(words or reason)
    return text if len(text) <= 100 else f"{text[:99]}…"  # noqa: PLR2004
