"""`lorikeet ledger`: the ledger against Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import ledger_look, ledger_mend
from service.cli.ledger_tables import print_reports
from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    print_json,
    progress,
    quiet_kafka,
    wiring_of,
)
from service.cli.partitions import input_topic

if TYPE_CHECKING:
    from consumers.reconcile import PartitionReport
    from service.wiring import Wiring

_OFFENCES = {"gap": "in a gap", "beyond": "beyond the log's end"}
_LEDGER = typer.Typer(help="The table of all records read.", no_args_is_help=True)
TopicOption = Annotated[
    str | None, typer.Option("--topic", help="This input topic only, with or without the prefix.")
]
PartitionOption = Annotated[
    int | None, typer.Option("--partition", min=0, help="This partition only.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    ledger_look.add_to(_LEDGER)
    ledger_mend.add_to(_LEDGER)
    app.add_typer(_LEDGER, name="ledger")


@_LEDGER.command(name="verify")
def verify(
    topic: TopicOption = None,
    partition: PartitionOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What is not read yet is an error too.")
    ] = False,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Walk every record of the topics against the ledger and the dead letters.

    Exit code 0 only if each record that was read has exactly one row, of its size and digest.
    """
    quiet_kafka()
    wiring = wiring_of(config, data, bootstrap)
    reports = asyncio.run(_verify(wiring, topic, partition))
    if as_json:
        print_json([report.facts() for report in reports])
    else:
        print_reports(reports)
    _judge(reports, strict=strict)
    if not as_json:
        typer.echo("The ledger agrees with Kafka.")


async def _verify(
    wiring: Wiring, topic: str | None, partition: int | None
) -> list[PartitionReport]:
    from consumers.kafka import cluster_id  # noqa: PLC0415
    from consumers.log_walk import LogReader  # noqa: PLC0415
    from consumers.verify_ledger import Scope, VerifyLedger  # noqa: PLC0415
    from schemas.events import DEAD_LETTER_TOPIC  # noqa: PLC0415

    prefix = wiring.settings.kafka.prefix
    scope = Scope(
        _topics(prefix, topic), f"{prefix}{DEAD_LETTER_TOPIC}", partition, topic is not None
    )
    cluster = await cluster_id(wiring.kafka)
    operation = VerifyLedger(wiring.ledger_place, wiring.ledger, cluster)
    async with LogReader(wiring.kafka) as log:
        with progress() as say:
            return await operation(log, scope, say)


def _topics(prefix: str, topic: str | None) -> list[str]:
    """The input topics that are meant. Raises Unrecoverable(NO_TOPIC)."""
    from consumers.kafka import input_topics  # noqa: PLC0415

    return input_topics(prefix) if topic is None else [input_topic(prefix, topic)]


def _judge(reports: Sequence[PartitionReport], *, strict: bool) -> None:
    """Raises Unrecoverable(LEDGER_MISMATCH) naming the first offenders."""
    from schemas.errors import Code, Unrecoverable  # noqa: PLC0415

    found = [_offence(report, what) for report in reports for what in report.offences]
    behind = sum(report.not_yet_read for report in reports)
    if strict and behind:
        found.append(f"{behind:,} not yet read")
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004 - one line
        raise Unrecoverable(Code.LEDGER_MISMATCH, f"{'; '.join(found[:3])}{more}")


def _offence(report: PartitionReport, what: str) -> str:
    one = report.offences[what]
    words = _OFFENCES.get(what, what)
    return f"{one.count:,} {words}, such as {report.topic}[{report.partition}]@{one.first[0]}"
