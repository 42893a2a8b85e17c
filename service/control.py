"""The operations that the control worker drives, and how the process runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from producers.kafka import ExclusiveKafkaProducer
from schemas.errors import LorikeetError
from schemas.telemetry import Metric
from service.wiring import DatabaseThread, Wiring, clock

log = structlog.get_logger(__name__)
_SETTLE_SECONDS = 0.3


class WiredOperations:
    """See `ControlOperations`: each verb in the database thread, errors counted and logged."""

    def __init__(self, wiring: Wiring, producer: ExclusiveKafkaProducer) -> None:
        self._wiring = wiring
        self._meter = wiring.meter
        self._relay = wiring.relay_outbox(producer)
        self._soon: asyncio.Task[None] | None = None

    def woken(self, topic: str, events: int) -> None:
        """Look soon: once ingest has had time to commit, however many events arrive meanwhile."""
        self._meter.count(Metric.WAKEUPS, events, topic=topic)
        if self._soon is None or self._soon.done():
            self._soon = asyncio.get_running_loop().create_task(self._look_soon())

    async def _look_soon(self) -> None:
        settle = self._wiring.settings.ingest.flush_seconds + _SETTLE_SECONDS
        await asyncio.sleep(settle)
        await self.consider()

    async def consider(self) -> None:
        """Count, then compare every model with its thresholds."""
        await self._do("count_ledger", self._wiring.count_ledger)
        for model in self._wiring.settings.models:
            made = await self._do(
                "consider_training",
                partial(self._wiring.consider_training, model, clock()),
            )
            if made:
                log.info("job.created", job=made, model=model.name)

    async def advance(self) -> None:
        """Count, advance every roll-out, bring gateways along."""
        await self._do("count_ledger", self._wiring.count_ledger)
        for model in self._wiring.settings.models:
            tick = await self._do(
                "advance_rollout", partial(self._wiring.advance_rollout, model, clock())
            )
            if tick and str(tick.action) != "hold":
                log.info("rollout.moved", state=str(tick.state), why=tick.why, model=model.name)
            await self._do(
                "converge_gateways",
                partial(self._wiring.converge_gateways, model, clock),
            )

    async def maintain(self) -> None:
        """Maintain the ledger, and carry erasures out, in a thread of its own."""
        work = partial(self._wiring.maintain_ledger, clock())
        await self._do("maintain_ledger", work, self._wiring.maintenance)
        await self._do("erase", partial(self._wiring.erase, clock), self._wiring.maintenance)

    async def relay(self) -> None:
        """Publish what the outbox holds."""
        started = time.perf_counter()
        try:
            await self._relay(clock)
        except LorikeetError as error:
            self._failed("relay_outbox", error)
            return
        self._done("relay_outbox", started)

    async def _do(
        self, name: str, work: Callable[[], Any], thread: DatabaseThread | None = None
    ) -> Any:
        started = time.perf_counter()
        try:
            result = await (thread or self._wiring.thread)(work)
        except LorikeetError as error:
            self._failed(name, error)
            return None
        self._done(name, started)
        return result

    def _done(self, name: str, started: float) -> None:
        self._meter.count(Metric.OPERATIONS, operation=name, result="ok")
        self._meter.observe(Metric.OPERATION_TIME, time.perf_counter() - started, operation=name)

    def _failed(self, name: str, error: LorikeetError) -> None:
        self._meter.count(Metric.OPERATIONS, operation=name, result=error.code.number)
        log.warning("operation.failed", operation=name, error=str(error))
