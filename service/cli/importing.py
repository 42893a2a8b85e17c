"""`lorikeet import`: traces that people already have, as events on Kafka."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    print_json,
    print_table,
    quiet_kafka,
    settings_of,
)

if TYPE_CHECKING:
    from operations.import_traces import Looked, Summary
    from service.settings import Settings

_FOLLOWS = {
    "model": "they wait for review",
    "trust": "they wait for review",
    "tools": "not eligible for tool-call training",
    "time": "Kafka's time of arrival counts",
    "user_id": "one person's traces are kept together by session and task only",
    "session_id": "one person's traces are kept together by user and task only",
    "domain": "not balanced by domain",
    "confidence": "the confidence threshold is not applied",
}


class FormatName(StrEnum):
    """The formats; the same names as in `operations.import_traces.FORMATS`."""

    OPENAI_CHAT = "openai-chat"
    TAU_BENCH = "tau-bench"
    TAU2 = "tau2"


class TrustName(StrEnum):
    """Levels of trust, the highest first."""

    VERIFIED = "verified"
    INTERNAL = "internal"
    EXTERNAL = "external"
    UNKNOWN = "unknown"


Files = Annotated[list[Path], typer.Argument(metavar="FILE", help="Plain or gzip.")]
ToolsFile = Annotated[
    Path | None, typer.Option("--tools", metavar="FILE", help="Tool definitions: a JSON list.")
]
Derive = Annotated[
    bool, typer.Option("--derive-tools", help="Derive missing tool definitions from the calls.")
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="The model that ran.")]
Trust = Annotated[TrustName | None, typer.Option("--trust", help="How far the traces are trusted.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(name="import")(import_files)


def import_files(
    format: Annotated[FormatName, typer.Argument(help="What the files are.")],  # noqa: A002
    files: Files,
    tools: ToolsFile = None,
    derive_tools: Derive = False,
    model: Model = None,
    trust: Trust = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Turn traces that you already have into events on Kafka.

    The options state what the files do not say; what nobody says stays absent, listed at the end.

    Without a model or a trust they wait for review, without tools they teach no tool calls.

    Importing a file twice with the same options gives duplicates, not new examples.

    The fields of openai-chat, with an example: docs/imports.md.
    """
    from operations.import_traces import look, read_tools  # noqa: PLC0415
    from processors.imports.stated import Stated  # noqa: PLC0415

    stated = Stated(
        model=model,
        trust=trust,
        tools=read_tools(tools) if tools else None,
        derive_tools=derive_tools,
    )
    looked = look(format, files, stated)
    settings = settings_of(config, None, bootstrap)
    known = {one.name for one in settings.models}
    if model and known and model not in known:
        typer.echo(
            f"Note: {model} is none of the models in the settings: {sorted(known)}", err=True
        )
    summary = asyncio.run(_send(settings, looked))
    if as_json:
        print_json(_facts(summary))
    else:
        _print(summary)


async def _send(settings: Settings, looked: Looked) -> Summary:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from consumers.kafka import require_topics  # noqa: PLC0415
    from operations.import_traces import ImportTraces  # noqa: PLC0415
    from producers.connection import KafkaConnection  # noqa: PLC0415
    from producers.kafka import KafkaProducer  # noqa: PLC0415
    from schemas.events import EXECUTION  # noqa: PLC0415

    quiet_kafka()
    connection, prefix = KafkaConnection.of(settings.kafka), settings.kafka.prefix
    await require_topics(connection, [f"{prefix}{EXECUTION}"])
    producer = KafkaProducer(connection)
    operation = ImportTraces(producer, prefix, settings.curation.policy(b"").limits)
    bar = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    try:
        with bar:
            task = bar.add_task("Sending", total=looked.records)
            return await operation(looked, lambda done, _all: bar.update(task, completed=done))
    finally:
        await producer.stop()


def _facts(summary: Summary) -> dict[str, Any]:
    return {
        "sent": dict(summary.sent),
        "refused": summary.refused,
        "refusals": summary.refusals,
        "absent": dict(summary.absent),
        "derived_tools": summary.derived,
    }


def _print(summary: Summary) -> None:
    print_table("Sent", ["event", "number"], sorted(summary.sent.items()))
    if summary.refused:
        typer.echo(f"Refused: {summary.refused}, such as")
        typer.echo("".join(f"  {refusal}\n" for refusal in summary.refusals), nl=False)
    for agent, count in sorted(summary.derived.items()):
        typer.echo(f"Tool definitions of {agent}: {count}, derived from the calls, not stated.")
    rows = [(name, n, _FOLLOWS.get(name, "")) for name, n in summary.absent.most_common()]
    print_table("Not stated", ["field", "events", "so"], rows)
