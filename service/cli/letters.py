"""`lorikeet dead-letters`: look at what could not be read, mend it, put it back."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import letters_resend
from service.cli.letter_place import CodeOption, LetterPlace, require_code
from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    print_json,
    settings_of,
    size,
    utc,
)
from service.cli.payloads import milliseconds, moment, plain, text_of, visible, write

if TYPE_CHECKING:
    from schemas.letters import Letter

_LETTERS = typer.Typer(help="Records that could not be read.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    letters_resend.add_to(_LETTERS)
    app.add_typer(_LETTERS, name="dead-letters")


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
    require_code(code)
    after = 0 if since is None else milliseconds(since)
    place = LetterPlace(settings_of(config, data, bootstrap))
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

    place = LetterPlace(settings_of(config, data, bootstrap))
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
