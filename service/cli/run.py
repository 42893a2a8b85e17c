"""`lorikeet run`, and the four processes it supervises."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.options import Bootstrap, Config, Data, debug, settings_of

if TYPE_CHECKING:
    from service.settings import Settings
    from service.supervise import Child


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(name="run")(run)
    app.command(name="ingest")(ingest)
    app.command(name="control")(control)
    app.command(name="api")(api)
    app.command(name="worker")(worker)


def run(config: Config = None, data: Data = None, bootstrap: Bootstrap = None) -> None:
    """Run everything on this machine; an embedded broker where no --bootstrap is set."""
    from consumers.kafka import create_topics  # noqa: PLC0415
    from service import logs  # noqa: PLC0415
    from service.broker import EmbeddedBroker  # noqa: PLC0415
    from service.supervise import KeptBroker, Supervisor  # noqa: PLC0415

    settings = settings_of(config, data, bootstrap)
    settings.places.check()
    logs.configure(process="run", debug=debug())
    broker = kept = None
    supervisor = Supervisor(settings.places.logs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if settings.kafka.bootstrap is None:
            broker = EmbeddedBroker(settings.places.broker, say=typer.echo)
            settings = settings_of(config, data, broker.start())
            kept = KeptBroker(broker, typer.echo)
        address = settings.kafka.bootstrap or ""
        asyncio.run(create_topics(address, settings.kafka.prefix, settings.kafka.partitions))
        for child in children(settings, config):
            supervisor.add(child)
        typer.echo(
            f"Running. Kafka {address}, API http://{settings.api.host}:{settings.api.port}, "
            f"data {settings.places.data}, logs {settings.places.logs}. Ctrl-C stops."
        )
        while True:
            supervisor.check()
            if kept is not None:
                kept.check()
            time.sleep(0.5)
    except KeyboardInterrupt:
        typer.echo("Stopping.")
    finally:
        supervisor.stop()
        if broker is not None:
            broker.stop()


def children(settings: Settings, config: Path | None) -> list[Child]:
    """The four processes of an installation, told the same settings."""
    from service.supervise import Child, lorikeet  # noqa: PLC0415

    options = ["--data", str(settings.data), "--bootstrap", settings.kafka.bootstrap or ""]
    if config is not None:
        options += ["--config", str(config)]
    return [
        Child(name, lorikeet(name, *options)) for name in ("ingest", "control", "api", "worker")
    ]


def ingest(config: Config = None, data: Data = None, bootstrap: Bootstrap = None) -> None:
    """Read Kafka into the ledger: every record exactly one row."""
    from service.processes import run_ingest  # noqa: PLC0415

    _process("ingest", run_ingest, settings_of(config, data, bootstrap))


def control(config: Config = None, data: Data = None, bootstrap: Bootstrap = None) -> None:
    """Watch thresholds, advance roll-outs, publish lifecycle events."""
    from service.processes import run_control  # noqa: PLC0415

    _process("control", run_control, settings_of(config, data, bootstrap))


def api(config: Config = None, data: Data = None, bootstrap: Bootstrap = None) -> None:
    """Serve the HTTP API; works while Kafka is down."""
    from service.processes import run_api  # noqa: PLC0415

    _process("api", run_api, settings_of(config, data, bootstrap))


def worker(config: Config = None, data: Data = None, bootstrap: Bootstrap = None) -> None:
    """Train, probe, validate and register, one job at a time."""
    from service.processes import run_worker  # noqa: PLC0415

    _process("worker", run_worker, settings_of(config, data, bootstrap))


def _process(name: str, main: Callable[[Settings], None], settings: Settings) -> None:
    from service import logs  # noqa: PLC0415

    logs.configure(process=name, debug=debug())
    main(settings)
