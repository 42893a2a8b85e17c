"""`lorikeet dead-letters`: look at what could not be read, mend it, put it back."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    ask,
    counted,
    print_json,
    quiet_kafka,
    settings_of,
    size,
    utc,
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
    str | None, typer.Option("--code", help="Dead letters of this error code only, e.g. E7006.")
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
        str | None,
        typer.Option("--topic", help="Records of this topic only, with or without the prefix."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Records since then: RFC 3339 or a day."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many at most, the newest ones.")
    ] = 50,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Dead letters, newest last: when and where the record lay, and what was wrong with it."""
    _require_code(code)
    after = 0 if since is None else milliseconds(since)
    place = _Place(settings_of(config, data, bootstrap))
    prefix = place.settings.kafka.prefix

    def wanted(letter: Letter) -> bool:
        return (
            code in (None, letter.code)
            and topic in (None, letter.topic, letter.topic.removeprefix(prefix))
            and letter.timestamp >= after
        )

    found = asyncio.run(place.box.newest(wanted, limit))
    if as_json:
        print_json([_facts(letter) for letter in found])
        return
    for x in found:
        typer.echo(f"{utc(moment(x.timestamp))}  {x.code}  {size(x.size):>9}  {x.short_id}")
        typer.echo(f"    {_brief(x)}")
    if not found:
        typer.echo("Dead letters: none")


@_LETTERS.command(name="show")
def show_letter(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` prints it.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Only write the payload to a new file, byte for byte."),
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
        digest = hashlib.sha256(value or b"").hexdigest()
        count = len(value or b"")
        if as_json:
            print_json({"id": letter.id, "file": str(out), "bytes": count, "sha256": digest})
        else:
            typer.echo(f"{out}: the payload of {letter.short_id}, {count:,} bytes")
        return
    if as_json:
        pairs = [[name, plain(text)] for name, text in headers]
        print_json({**_facts(letter), "key": plain(key), "headers": pairs, "value": plain(value)})
        return
    typer.echo(f"{letter.id}  {utc(moment(letter.timestamp))}")
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
    _require_code(code)
    mended = None if value is None else read(value)
    place = _Place(settings_of(config, data, bootstrap))
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


def _require_code(code: str | None) -> None:
    """Raises Unrecoverable(BAD_OPTION) for a code that does not exist."""
    if code is not None and code not in {one.number for one in Code}:
        detail, remedy = f"--code {code}: there is no such error code", "see docs/errors.md"
        raise Unrecoverable(Code.BAD_OPTION, detail, remedy=remedy)


def _facts(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "topic": letter.topic,
        "partition": letter.partition,
        "time": utc(moment(letter.timestamp)),
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
