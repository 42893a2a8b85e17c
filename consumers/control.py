"""The control worker: Faust agents that wake operations at once, timers that call them on schedule.

Losing or repeating a wake-up changes nothing but latency: every operation looks at the database, and
who may act is a lease there. Settings follow what loses no event in Faust: one event at a time per
agent, acknowledged by hand, and a worker that ends when an agent fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import faust
from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials
from mode.supervisors import CrashingSupervisor

from consumers.settings import ControlSettings
from producers.connection import KafkaConnection


class ControlOperations(Protocol):
    """What the worker drives. None of them raises for what may work the next time."""

    def woken(self, topic: str, events: int) -> None:
        """Events arrived: look soon."""

    async def consider(self) -> None:
        """Count the ledger, and compare every model with its thresholds."""

    async def advance(self) -> None:
        """Advance every roll-out, and bring gateways to the desired state."""

    async def relay(self) -> None:
        """Publish what the outbox holds."""

    async def maintain(self) -> None:
        """Maintain the ledger and carry erasures out, without holding the others up."""


def build_worker(
    operations: ControlOperations,
    topics: Sequence[str],
    *,
    connection: KafkaConnection,
    settings: ControlSettings,
    data: str,
) -> faust.App:
    """A Faust app with one agent a topic and four timers. `data` is Faust's own folder."""
    app = faust.App(
        "lorikeet-control",
        broker=f"kafka://{connection}",
        broker_credentials=_credentials(connection),
        datadir=data,
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="latest",
        agent_supervisor=CrashingSupervisor,
        broker_session_timeout=10,
        broker_heartbeat_interval=3,
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )
    for name in topics:
        _add_agent(app, operations, name)
    app.timer(interval=settings.consider_seconds)(operations.consider)
    app.timer(interval=settings.rollout_seconds)(operations.advance)
    app.timer(interval=settings.relay_seconds)(operations.relay)
    app.timer(interval=settings.maintain_seconds)(operations.maintain)
    return app


def _credentials(connection: KafkaConnection) -> Credentials | None:
    """The same as `KafkaConnection.options`, in Faust's own types."""
    options = connection.options()
    context = options.get("ssl_context")
    if "sasl_oauth_token_provider" in options:
        provider = options["sasl_oauth_token_provider"]
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context else None


def _add_agent(app: faust.App, operations: ControlOperations, name: str) -> None:
    topic = app.topic(name, value_type=bytes, value_serializer="raw", key_serializer="raw")

    async def wake(stream: Any) -> None:
        async for events in stream.noack_take(500, within=0.1):
            operations.woken(name, len(events))
            for event in events:
                await stream.ack(event)

    app.agent(topic, name=f"wake.{name}", concurrency=1)(wake)
