"""`lorikeet datasets review`: a person decides about what the machine doubts."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    Tenant,
    actor,
    counted,
    print_json,
    quiet_kafka,
    refuse,
    utc,
    wiring_of,
)
from service.cli.payloads import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from operations.record_decisions import Decision, DecisionEvents
    from processors.curation.review import Waiting
    from producers.port import Outgoing
    from schemas.rows import Row
    from service.wiring import Wiring

_PAGE = 100


def add_to(datasets: typer.Typer) -> None:
    """Register the command."""
    datasets.command(name="review")(review)


def review(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    tenant: Tenant = "default",
    reviewer: Annotated[
        str | None, typer.Option(help="Who decides (default: your user name).")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="How many runs at most.")] = None,
    decide: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Ask nothing: decisions as JSON lines, see docs/review.md."
        ),
    ] = None,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Decide about runs that ingest or the last seal left to a person, newest first.

    Each decision is an event: it is in Kafka before the next run is shown, and counts from the next seal on.

    With --json the queue is printed, as the ledger has it, and nobody is asked.
    """
    if limit is not None and limit < 1:
        raise Unrecoverable(Code.BAD_OPTION, f"--limit {limit}: at least one run has to be shown")
    wiring = wiring_of(config, data, bootstrap)
    wiring.settings.model(tenant, model)
    name = actor().removeprefix("user:") if reviewer is None else reviewer
    if decide is not None:
        _decide(wiring, tenant, model, decide, name, as_json=as_json)
    elif as_json:
        print_json(list(_queued(wiring, _queue(wiring, tenant, model, ())[:limit])))
    else:
        _sit(wiring, tenant, model, name, limit)


def _sit(wiring: Wiring, tenant: str, model: str, reviewer: str, limit: int | None) -> None:
    from rich.console import Console  # noqa: PLC0415

    from operations.record_decisions import PersonalData  # noqa: PLC0415
    from service.cli.review_session import ReviewSession, summary  # noqa: PLC0415
    from service.wiring import clock  # noqa: PLC0415

    if not sys.stdin.isatty():
        remedy = "look with --json, decide with --decide FILE"
        raise Unrecoverable(Code.BAD_OPTION, "stdin is no terminal to be asked on", remedy=remedy)
    events = _events(wiring, reviewer)
    queue = _queue(wiring, tenant, model, _unread(wiring))
    if not queue:
        typer.echo(f"{tenant}/{model}: nothing to review")
        return

    def record(decision: Decision) -> None:
        asyncio.run(_publish(wiring, events(decision, clock())))

    def contents(page: Sequence[Waiting]) -> Mapping[str, Mapping[str, Any]]:
        return wiring.review_queue.contents({one.row_id for one in page})

    session = ReviewSession(Console(), contents, record, PersonalData(wiring.curation).kinds)
    typer.echo(f"{tenant}/{model}: {counted(len(queue), 'run')} to review")
    done = session(queue[:limit])
    typer.echo(summary(done, len(queue) - done.total()))


def _decide(
    wiring: Wiring, tenant: str, model: str, file: Path, reviewer: str, *, as_json: bool
) -> None:
    from operations.read_decisions import decisions, read_lines  # noqa: PLC0415
    from service.wiring import clock  # noqa: PLC0415

    lines, faults = read_lines(read(file).splitlines())
    events = _events(wiring, reviewer)
    ids = {line.said.row_id for line in lines}
    known = wiring.review_queue.named(tenant, model, ids, _unread(wiring))
    edited = {line.said.row_id for line in lines if line.said.answer is not None}
    found, more = decisions(lines, known, wiring.review_queue.contents(edited))
    refuse(Code.BAD_DECISION, [*faults, *more], str(file))
    sent = [event for decision in found for event in events(decision, clock())]
    asyncio.run(_publish(wiring, sent))
    counts = Counter(str(decision.verdict) for decision in found)
    if as_json:
        print_json({"events": len(sent), "decisions": dict(counts)})
    else:
        said = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items()))
        typer.echo(f"{counted(len(found), 'decision')} recorded: {said or 'none'}")


def _queue(wiring: Wiring, tenant: str, model: str, unread: Sequence[Row]) -> list[Waiting]:
    recipe = wiring.settings.model(tenant, model).recipe
    return wiring.review_queue(tenant, model, recipe, unread)


def _queued(wiring: Wiring, queue: Sequence[Waiting]) -> Iterator[dict[str, Any]]:
    """The queue with its texts; what holds none is not for people to decide."""
    for start in range(0, len(queue), _PAGE):
        page = queue[start : start + _PAGE]
        contents = wiring.review_queue.contents({one.row_id for one in page})
        for one in page:
            if one.row_id in contents:
                when = one.event_time and utc(one.event_time)
                yield {**asdict(one), "event_time": when, "content": contents[one.row_id]}


def _events(wiring: Wiring, reviewer: str) -> DecisionEvents:
    """Raises Unrecoverable where nothing would come of a decision."""
    from operations.record_decisions import DecisionEvents, require_trust  # noqa: PLC0415

    require_trust(wiring.curation)
    if not reviewer.strip():
        raise Unrecoverable(Code.BAD_OPTION, "--reviewer is empty")
    return DecisionEvents(wiring.settings.kafka.prefix, reviewer, wiring.settings.curation.limits)


def _unread(wiring: Wiring) -> list[Row]:
    from consumers.unread_feedback import unread_feedback  # noqa: PLC0415
    from processors.curation.curate import Curator  # noqa: PLC0415

    quiet_kafka()
    offsets, prefix = wiring.ledger.offsets(), wiring.settings.kafka.prefix
    reading = unread_feedback(
        wiring.kafka, prefix, offsets, lambda cluster: Curator(cluster, wiring.curation)
    )
    return asyncio.run(reading)


async def _publish(wiring: Wiring, events: Sequence[Outgoing]) -> None:
    from operations.record_decisions import publish  # noqa: PLC0415
    from producers.kafka import KafkaProducer  # noqa: PLC0415

    producer = KafkaProducer(wiring.kafka)
    try:
        await publish(producer, events)
    finally:
        await producer.stop()
