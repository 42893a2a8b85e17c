"""`lorikeet ledger stats | tail | export`: the ledger by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from schemas.rows import Disposition
from service.cli.options import (
    AsJson,
    Config,
    Data,
    counted,
    percent,
    print_json,
    print_table,
    progress,
    size,
    utc,
    wiring_of,
)
from service.cli.partitions import input_topic, partition_of

if TYPE_CHECKING:
    from service.wiring import Wiring

_DAYS = 7
_POLL_SECONDS = 0.5
_Topic = Annotated[str | None, typer.Option("--topic", help="Rows of this topic only.")]
_Moment = Annotated[
    str | None, typer.Option(metavar="TIME", help="RFC 3339, or a day; Kafka's time of the record.")
]


def add_to(ledger: typer.Typer) -> None:
    """Register the commands."""
    ledger.command(name="stats")(stats)
    ledger.command(name="tail")(tail)
    ledger.command(name="export")(export)


def stats(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Rows by topic, disposition and day of ingest; files, log and gaps."""
    from operations.summarise_ledger import SummariseLedger  # noqa: PLC0415

    wiring = wiring_of(config, data)
    found = SummariseLedger(wiring.ledger_place)()
    if as_json:
        print_json(found)
        return
    names = [str(name) for name in Disposition]
    rows = [(name, *(counts[one] for one in names)) for name, counts in found["topics"].items()]
    print_table("Rows", ["topic", *_headings(names)], rows, whole=["topic"])
    days = [(d["day"], d["rows"], d["files"], size(d["bytes"])) for d in found["days"][:_DAYS]]
    print_table("Days of ingest", ["day (UTC)", "rows", "files", "size"], days)
    for line in _lines(found):
        typer.echo(line)


def _headings(names: Iterable[str]) -> list[str]:
    return [name.replace("_letter", "\nletters") for name in names]


def _lines(found: Mapping[str, Any]) -> Iterable[str]:
    yield f"{counted(found['rows'], 'row')}, dead letters {percent(found['dead_letter_share'])}"
    if found["rows"]:
        yield f"Records from {found['oldest_record']} to {found['newest_record']}"
    for gap in found["gaps"]:
        where = f"{partition_of(gap['key'])}, {gap['start']} to {gap['end']}"
        yield f"Gap {where}: {gap['note'].get('reason')}"
    more = len(found["days"]) - _DAYS
    if more > 0:
        yield f"{counted(more, 'earlier day')} of ingest"
    yield (
        f"{counted(found['files'], 'file')} ({found['small_files']:,} small), {size(found['bytes'])}; "
        f"version {found['version']:,}, {found['log_entries']:,} log entries"
    )


def tail(
    count: Annotated[int, typer.Option("-n", min=0, help="How many rows.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    topic: _Topic = None,
    disposition: Annotated[
        Disposition | None, typer.Option(help="Rows of this disposition only.")
    ] = None,
    content: Annotated[
        bool, typer.Option("--content", help="The content too, as it was redacted.")
    ] = False,
    config: Config = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """The newest rows by Kafka's time, the last one at the end."""
    from operations.tail_ledger import TailLedger  # noqa: PLC0415

    wiring = wiring_of(config, data)
    chosen = str(disposition) if disposition else None
    operation = TailLedger(
        wiring.ledger_place,
        wiring.ledger,
        content=content,
        topic=_whole(wiring, topic),
        disposition=chosen,
    )
    rows, version = operation.newest(count)
    _print_rows(rows, as_json=as_json)
    if not (rows or follow or as_json):
        typer.echo("no rows")
    try:
        while follow:
            time.sleep(_POLL_SECONDS)
            for version, rows in operation.after(version):  # noqa: B007, B020 - the last one counts
                _print_rows(rows, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _print_rows(rows: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False) if as_json else _line(row))


def _line(row: Mapping[str, Any]) -> str:
    why = [reason for reason in row["reasons"] or () if reason != row["disposition"]]
    kind = row["type"] or ""
    parts = [
        _when(row["timestamp"]),
        f"{row['topic']}[{row['partition']}]@{row['offset']}",
        "" if row["topic"].endswith(kind) else kind,
        "" if row["tenant"] == "default" else row["tenant"],
        row["id"],
        row["disposition"],
        ", ".join(why),
        row["error_code"],
    ]
    text = "  ".join(part for part in parts if part)
    return f"{text}\n    {row['content']}" if row.get("content") else text


def _when(milliseconds: int) -> str:
    try:
        return utc(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (ValueError, OverflowError, OSError):  # producers may set any timestamp
        return str(milliseconds)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty folder, or none yet.")],
    *,
    format: Annotated[str, typer.Option(help="parquet, jsonl or csv.")] = "parquet",  # noqa: A002
    since: _Moment = None,
    until: _Moment = None,
    disposition: Annotated[
        list[Disposition] | None,
        typer.Option(help="Rows of this disposition only; may be repeated."),
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Rows of this tenant only.")] = None,
    topic: _Topic = None,
    columns: Annotated[
        str | None, typer.Option(help="Names joined by commas (default: all columns).")
    ] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write rows to files, with a manifest: rows and SHA-256 of each, the ledger's version."""
    from operations.export_ledger import ExportLedger, Selection  # noqa: PLC0415
    from stores.ledger.scan import where  # noqa: PLC0415

    wiring = wiring_of(config, data)
    said: dict[str, Any] = {
        "since": _moment(since),
        "until": _moment(until),
        "disposition": [str(one) for one in disposition or ()] or None,
        "tenant": tenant,
        "topic": _whole(wiring, topic),
    }
    said = {name: value for name, value in said.items() if value is not None}
    names = columns.split(",") if columns else None
    with progress() as say:
        selection = Selection(where(**said), names, said)
        done = ExportLedger(wiring.ledger_place)(folder, _format(format), selection, say)
    if as_json:
        print_json(done)
        return
    whole = sum(file["bytes"] for file in done["files"])
    typer.echo(f"{counted(done['rows'], 'row')}, {size(whole)} in {folder}")


def _whole(wiring: Wiring, topic: str | None) -> str | None:
    return None if topic is None else input_topic(wiring.settings.kafka.prefix, topic)


def _format(name: str) -> Any:
    from operations.export_ledger import Format  # noqa: PLC0415

    try:
        return Format(name)
    except ValueError:
        known = ", ".join(Format)
        raise Unrecoverable(Code.BAD_OPTION, f"--format {name}: there are {known}") from None


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Unrecoverable(
            Code.BAD_OPTION, f"{text!r} is no time", remedy="such as 2026-01-31T12:00:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
