"""Ingest as several processes on one machine: members of one group, each with a page of its own."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import Code, Unrecoverable
from service.settings import Settings
from service.supervise import Child, lorikeet

_HIGHEST_PORT = 65_535


def ingest_children(settings: Settings, options: Sequence[str]) -> list[Child]:
    """`ingest`, or `ingest-0`, `ingest-1`, … where `ingest.workers` is above 1.

    `options` are those of the command line that all share. Raises Unrecoverable(BAD_SETTINGS) if the
    metrics ports of so many are not free for them.
    """
    count = settings.ingest.workers
    if count == 1:
        return [Child("ingest", lorikeet("ingest", *options, "--workers", "1"))]
    return [_child(settings, options, number) for number in range(count)]


def _child(settings: Settings, options: Sequence[str], number: int) -> Child:
    command = lorikeet("ingest", *options, "--workers", "1")
    if settings.ingest.member_id:
        command += ["--member-id", f"{settings.ingest.member_id}-{number}"]
    port = str(_port(settings, number))
    return Child(f"ingest-{number}", command, {"LORIKEET_METRICS__INGEST": port})


def _port(settings: Settings, number: int) -> int:
    metrics = settings.metrics
    port = metrics.ingest + number
    taken = {
        metrics.control: "metrics.control",
        metrics.worker: "metrics.worker",
        settings.api.port: "api.port",
    }
    if port in taken or port > _HIGHEST_PORT:
        why = f"is {taken[port]}" if port in taken else "does not exist"
        raise Unrecoverable(
            Code.BAD_SETTINGS,
            f"metrics.ingest: worker {number} would show its metrics at port {port}, which {why}",
            remedy=f"leave {settings.ingest.workers} ports free from metrics.ingest on",
        )
    return port
