"""One function a process: ingest, control, api, worker. Each runs until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from service.metrics import PrometheusMeter
from service.settings import Settings
from service.wiring import Wiring

log = structlog.get_logger(__name__)
_YOUNG_OBJECTS = 50_000
"""When ingest looks for reference cycles. Thousands of rows wait for a commit and hold none: with
Python's own 700 it spends a tenth of its time looking."""

_FAREWELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Backfill:
    """A part of the topics, as the command line names it (see `consumers.bounds`), and where to."""

    start: str | None = None
    until: str | None = None
    ledger: Path | None = None

    def options(self) -> list[str]:
        """The same, for another process."""
        given = {"--from": self.start, "--until": self.until, "--ledger": self.ledger}
        return [word for name, value in given.items() if value for word in (name, str(value))]


def run_ingest(settings: Settings, backfill: Backfill) -> None:
    """Read Kafka into the ledger. Raises what a user can mend, and NotReady without a broker."""
    from consumers.bounds import resolve  # noqa: PLC0415
    from consumers.kafka import cluster_id, input_topics, require_topics  # noqa: PLC0415
    from producers.kafka import KafkaProducer  # noqa: PLC0415

    meter = PrometheusMeter("ingest")
    wiring = Wiring(settings, meter)

    async def main(stop: asyncio.Event) -> None:
        topics = input_topics(settings.kafka.prefix)
        await require_topics(wiring.kafka, topics)
        cluster = await cluster_id(wiring.kafka)
        bounds = await resolve(wiring.kafka, topics, backfill.start, backfill.until)
        producer = KafkaProducer(wiring.kafka)
        loop = wiring.ingest_loop(cluster, producer, bounds, backfill.ledger)
        if backfill.ledger is None:  # else the live one, beside it, has the port
            meter.serve(settings.metrics.host, settings.metrics.ingest)
        log.info("ingest.started", bootstrap=wiring.bootstrap, cluster=cluster)
        gc.freeze()  # what is loaded stays
        gc.set_threshold(_YOUNG_OBJECTS)
        try:
            await loop.run(stop)
        finally:
            await producer.stop()

    asyncio.run(_until_told(main))


def run_control(settings: Settings) -> None:
    """Wake and call operations: thresholds, roll-outs, gateways, outbox."""
    from consumers.control import build_worker  # noqa: PLC0415
    from consumers.kafka import cluster_id, input_topics, require_topics  # noqa: PLC0415
    from producers.kafka import ExclusiveKafkaProducer  # noqa: PLC0415
    from service.control import WiredOperations  # noqa: PLC0415

    meter = PrometheusMeter("control")
    wiring = Wiring(settings, meter)

    async def main(stop: asyncio.Event) -> None:
        topics = input_topics(settings.kafka.prefix)
        await cluster_id(wiring.kafka)
        await require_topics(wiring.kafka, topics)
        await wiring.thread(lambda: wiring.database)
        identity = f"{settings.kafka.prefix}lorikeet.relay"
        producer = ExclusiveKafkaProducer(wiring.kafka, identity)
        app = build_worker(
            WiredOperations(wiring, producer),
            topics,
            connection=wiring.kafka,
            settings=settings.control,
            data=str(settings.places.data / "faust"),
        )
        meter.serve(settings.metrics.host, settings.metrics.control)
        app.finalize()
        await app.start()
        log.info("control.started", bootstrap=wiring.bootstrap)
        try:
            while not stop.is_set() and not app.crashed:  # noqa: ASYNC110 - Faust has no such event
                await asyncio.sleep(0.1)
            if app.crashed:
                raise app.crash_reason or RuntimeError("the worker crashed")
        finally:
            with contextlib.suppress(TimeoutError):  # a broker that is gone answers no farewell
                await asyncio.wait_for(_leave(app, producer), _FAREWELL_SECONDS)

    asyncio.run(_until_told(main))


async def _leave(*parts: Any) -> None:
    for part in parts:
        await part.stop()


def run_api(settings: Settings) -> None:
    """Serve the HTTP API; needs no Kafka."""
    import uvicorn  # noqa: PLC0415

    from service.api import build_api  # noqa: PLC0415
    from service.broker import require_free  # noqa: PLC0415

    meter = PrometheusMeter("api")
    wiring = Wiring(settings, meter)
    api = build_api(wiring, meter)
    require_free(settings.api.host, settings.api.port)
    log.info("api.started", host=settings.api.host, port=settings.api.port)
    uvicorn.run(
        api,
        host=settings.api.host,
        port=settings.api.port,
        log_level="warning",
        access_log=False,
    )


def run_worker(settings: Settings) -> None:
    """Claim training jobs and take them to their end, one at a time."""
    meter = PrometheusMeter("worker")
    wiring = Wiring(settings, meter)
    run_job = wiring.run_job
    models = wiring.models()
    meter.serve(settings.metrics.host, settings.metrics.worker)
    log.info("worker.started")
    # SIGTERM interrupts a job as Ctrl-C does: its trainer ends, its lease runs out, another goes on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            done = run_job(models)
            if done is None:
                time.sleep(settings.worker.poll_seconds)
            else:
                log.info("job.ended", job=done)


async def _until_told(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    async with _signals() as stop:
        await main(stop)


@contextlib.asynccontextmanager
async def _signals() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    try:
        yield stop
    finally:
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(sign)
