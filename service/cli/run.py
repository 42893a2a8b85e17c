"""`lorikeet run`, and the processes it supervises."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import Bootstrap, Config, Data, debug, settings_of

if TYPE_CHECKING:
    from service.processes import Backfill
    from service.settings import Settings
    from service.supervise import Child, KeptBroker, Supervisor

Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Ingest processes that share the topics."),
]
_RANGE = "beginning, now, an RFC 3339 time, or a JSON file {topic:partition: offset}"
From = Annotated[
    str | None,
    typer.Option("--from", metavar="PLACE", help=f"Where new partitions begin: {_RANGE}."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="PLACE", help="Read up to there, then end.")
]
Ledger = Annotated[
    Path | None, typer.Option("--ledger", metavar="FOLDER", help="Another ledger to read into.")
]
MemberId = Annotated[
    str | None,
    typer.Option("--member-id", metavar="NAME", help="Static member; workers add -0, -1, …"),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(name="run")(run)
    app.command(name="ingest")(ingest)
    app.command(name="control")(control)
    app.command(name="api")(api)
    app.command(name="worker")(worker)


def run(
    config: Config = None, data: Data = None, bootstrap: Bootstrap = None, workers: Workers = None
) -> None:
    """Run everything on this machine; an embedded broker where no --bootstrap is set."""
    from service import logs  # noqa: PLC0415
    from service.broker import EmbeddedBroker  # noqa: PLC0415
    from service.supervise import KeptBroker, Supervisor  # noqa: PLC0415

    settings = _ingesting(settings_of(config, data, bootstrap), workers)
    _refuse_embedded_security(settings)
    settings.places.check()
    logs.configure(process="run", debug=debug())
    broker = kept = None
    supervisor = Supervisor(settings.places.logs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if settings.kafka.bootstrap is None:
            broker = EmbeddedBroker(settings.places.broker, say=typer.echo)
            settings = _ingesting(settings_of(config, data, broker.start()), workers)
            kept = KeptBroker(broker, typer.echo)
        _create_topics(settings)
        for child in children(settings, config):
            supervisor.add(child)
        typer.echo(
            f"Running. Kafka {settings.kafka.bootstrap}, "
            f"API http://{settings.api.host}:{settings.api.port}, "
            f"data {settings.places.data}, logs {settings.places.logs}. Ctrl-C stops."
        )
        _watch(supervisor, kept)
    except KeyboardInterrupt:
        typer.echo("Stopping.")
    finally:
        supervisor.stop()
        if broker is not None:
            broker.stop()


def children(settings: Settings, config: Path | None) -> list[Child]:
    """The processes of an installation, told the same settings."""
    from service.supervise import Child, lorikeet  # noqa: PLC0415
    from service.workers import ingest_children  # noqa: PLC0415

    options = _same(settings, config)
    others = [Child(name, lorikeet(name, *options)) for name in ("control", "api", "worker")]
    return [*ingest_children(settings, options), *others]


def ingest(
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    workers: Workers = None,
    member_id: MemberId = None,
    start: From = None,
    until: Until = None,
    ledger: Ledger = None,
) -> None:
    """Read Kafka into the ledger: every record exactly one row.

    The ledger knows where it stands: --from holds for partitions that it does not know yet. To read a
    range a second time, name another --ledger; its dead letters are not published again.
    """
    from service.processes import Backfill, run_ingest  # noqa: PLC0415

    settings = _ingesting(settings_of(config, data, bootstrap), workers, member_id)
    backfill = Backfill(start, until, ledger)
    if settings.ingest.workers == 1:
        _process("ingest", partial(run_ingest, backfill=backfill), settings)
    else:
        _ingest_together(settings, config, backfill)


def _ingest_together(settings: Settings, config: Path | None, backfill: Backfill) -> None:
    """Supervise as many ingest processes as the settings say."""
    from service import logs  # noqa: PLC0415
    from service.supervise import Supervisor  # noqa: PLC0415
    from service.workers import ingest_children  # noqa: PLC0415

    settings.places.check()
    logs.configure(process="ingest", debug=debug())
    supervisor = Supervisor(settings.places.logs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = [*_same(settings, config), *backfill.options()]
        for child in ingest_children(settings, options):
            child.ends = backfill.until is not None
            supervisor.add(child)
            page = f"{settings.metrics.host}:{child.environment['LORIKEET_METRICS__INGEST']}"
            log = settings.places.logs / f"{child.name}.log"
            typer.echo(
                f"{child.name}: process {supervisor.pid(child.name)}, "
                f"metrics http://{page}/metrics, log {log}"
            )
        _watch(supervisor)
    except KeyboardInterrupt:
        typer.echo("Stopping.")
    finally:
        supervisor.stop()


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


def _watch(supervisor: Supervisor, kept: KeptBroker | None = None) -> None:
    """Restart what dies, until all is done, a signal, or an error that only a person can mend."""
    while not supervisor.empty:
        supervisor.check()
        if kept is not None:
            kept.check()
        time.sleep(0.5)


def _same(settings: Settings, config: Path | None) -> list[str]:
    """Options that tell a child the same settings."""
    options = ["--data", str(settings.data)]
    if settings.kafka.bootstrap is not None:
        options += ["--bootstrap", settings.kafka.bootstrap]
    return options if config is None else [*options, "--config", str(config)]


def _ingesting(settings: Settings, workers: int | None, member_id: str | None = None) -> Settings:
    """The settings with what the command line says of ingest."""
    given = {"workers": workers, "member_id": member_id}
    said = {name: value for name, value in given.items() if value is not None}
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update=said)})


def _create_topics(settings: Settings) -> None:
    from consumers.kafka import create_topics  # noqa: PLC0415
    from producers.connection import KafkaConnection  # noqa: PLC0415

    kafka = settings.kafka
    asyncio.run(create_topics(KafkaConnection.of(kafka), kafka.prefix, kafka.partitions))


def _refuse_embedded_security(settings: Settings) -> None:
    from schemas.errors import Code, Unrecoverable  # noqa: PLC0415

    kafka = settings.kafka
    if kafka.bootstrap is None and kafka.security.protocol != "PLAINTEXT":
        raise Unrecoverable(
            Code.BAD_SETTINGS,
            "kafka.security.protocol: the embedded broker speaks PLAINTEXT alone",
            remedy="set kafka.bootstrap to the broker that is meant",
        )
