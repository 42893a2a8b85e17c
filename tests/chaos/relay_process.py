"""One relay in a process of its own, for killing: `python -m tests.chaos.relay_process`.

Promotes (in the same transaction as its events) if asked to, then relays until the outbox is empty.
Kills itself, or stops itself once, right after the step that it is told.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consumers.kafka import KafkaPublishedEvents
from operations.move_rollout import Move
from operations.relay_outbox import RelayOutbox
from processors.rollout.decide import Action
from producers.connection import KafkaConnection
from producers.kafka import ExclusiveKafkaProducer
from schemas.telemetry import NoMeter
from stores.control import outbox, rollouts
from stores.control.database import Database
from tests.installation import ACTOR, MODEL, canary, database, decision


def main() -> None:
    """Promote, relay, and die where told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("bootstrap")
    parser.add_argument("prefix")
    parser.add_argument("--promote")
    parser.add_argument("--die-after", default="")
    parser.add_argument("--stop-after", default="")
    options = parser.parse_args()
    store = database(options.folder)
    if options.promote:
        store.write(lambda c: _promote(c, options.promote))
    asyncio.run(_relay(store, options))


def _promote(connection: Any, version: str) -> None:
    rollout = canary(connection, version)
    now = datetime.now(UTC)
    Move.of(connection, rollout, decision(Action.PROMOTE), now, ACTOR).promote()
    assert rollouts.running(connection, MODEL.tenant, MODEL.name) is None


async def _relay(store: Database, options: argparse.Namespace) -> None:
    def fault(step: str) -> None:
        if step == options.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if step == options.stop_after:
            options.stop_after = ""
            os.kill(os.getpid(), signal.SIGSTOP)

    async def thread(work: Callable[[], Any]) -> Any:
        return work()

    producer = ExclusiveKafkaProducer(
        KafkaConnection(options.bootstrap), f"{options.prefix}lorikeet.relay"
    )
    relay = RelayOutbox(
        store,
        producer,
        KafkaPublishedEvents(KafkaConnection(options.bootstrap)),
        thread,
        owner=uuid.uuid4().hex,
        prefix=options.prefix,
        meter=NoMeter(),
        fault=fault,
        lease_seconds=0.5,
    )
    while store.read(outbox.pending):
        await relay(lambda: datetime.now(UTC))
        await asyncio.sleep(0.05)
    await producer.stop()


if __name__ == "__main__":
    main()
