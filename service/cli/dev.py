"""`lorikeet dev`: an embedded broker alone, and the topics."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from service.cli.options import AsJson, Bootstrap, Config, print_json, quiet_kafka, settings_of

_DEV = typer.Typer(
    help="An embedded broker; and the topics, for production too.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_DEV, name="dev")


@_DEV.command(name="broker")
def broker(
    folder: Annotated[Path, typer.Option(help="Where the broker keeps its log.")] = Path(
        ".lorikeet/broker"
    ),
    port: Annotated[int | None, typer.Option(help="Port (default: any free one).")] = None,
    topics: Annotated[bool, typer.Option(help="Create Lorikeet's topics.")] = True,
) -> None:
    """Start the embedded Apache Kafka broker alone; Ctrl-C stops it cleanly."""
    from consumers.kafka import create_topics  # noqa: PLC0415
    from producers.connection import KafkaConnection  # noqa: PLC0415
    from producers.settings import KafkaSettings  # noqa: PLC0415
    from service.broker import EmbeddedBroker  # noqa: PLC0415

    embedded = EmbeddedBroker(folder.resolve(), port=port, say=typer.echo)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        connection = KafkaConnection(embedded.start())
        if topics:
            asyncio.run(create_topics(connection, "", KafkaSettings().partitions))
        typer.echo(f"Kafka listens on {connection}. Ctrl-C stops it.")
        while embedded.running():
            time.sleep(0.2)
    except KeyboardInterrupt:
        typer.echo("Stopping.")
    finally:
        embedded.stop()


@_DEV.command(name="topics")
def topics(config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Create Lorikeet's topics where they are missing."""
    from consumers.kafka import create_topics  # noqa: PLC0415
    from producers.connection import KafkaConnection  # noqa: PLC0415

    quiet_kafka()
    settings = settings_of(config, None, bootstrap)
    connection = KafkaConnection.of(settings.kafka)
    made = asyncio.run(create_topics(connection, settings.kafka.prefix, settings.kafka.partitions))
    if as_json:
        print_json({"created": made})
        return
    typer.echo("\n".join(made) if made else "All topics are there.")
