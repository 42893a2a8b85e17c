"""`lorikeet ledger rebuild | accept-gap`: what a person decides about the ledger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import Code, NotReady, Unrecoverable
from service.cli.options import (
    AsJson,
    Bootstrap,
    Config,
    Data,
    actor,
    ask,
    counted,
    print_json,
    print_table,
    progress,
    quiet_kafka,
    size,
    wiring_of,
)
from service.cli.partitions import input_topic

if TYPE_CHECKING:
    from consumers.accept_gap import AcceptGap, Outside
    from consumers.rebuild_ledger import Rebuilt
    from service.wiring import Wiring
    from stores.ledger.scan import Scan

_LEAST_FILES = 2
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def add_to(ledger: typer.Typer) -> None:
    """Register the commands."""
    ledger.command(name="rebuild")(rebuild)
    ledger.command(name="accept-gap")(accept_gap)
    ledger.command(name="compact")(compact)


def rebuild(
    from_kafka: Annotated[
        bool, typer.Option("--from-kafka", help="From the topics, which have to be named here.")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Do without what Kafka no longer has.")
    ] = False,
    yes: _Yes = False,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Build a new ledger from Kafka beside the old one, then put it in its place.

    Every record is decided again, by the settings of now. Stop ingest first. The old ledger is kept.
    """
    if not from_kafka:
        raise Unrecoverable(Code.BAD_OPTION, "say --from-kafka: there is no other source")
    quiet_kafka()
    wiring = wiring_of(config, data, bootstrap)
    _require_folder(wiring)
    ask(f"Build {wiring.settings.places.ledger} anew from {wiring.kafka}?", yes=yes)
    done = asyncio.run(_rebuild(wiring, accept_loss=accept_loss))
    if as_json:
        print_json({"rows": done.rows, "lost": done.lost, "before": str(done.before)})
        return
    lost = f", {done.lost:,} of the old one's are not among them" if done.lost else ""
    typer.echo(f"{done.rows:,} rows{lost}. The old ledger is kept as {done.before}")


def _require_folder(wiring: Wiring) -> None:
    from stores.ledger.local import LocalPlace  # noqa: PLC0415

    if not isinstance(wiring.ledger_place, LocalPlace):
        raise Unrecoverable(
            Code.BAD_OPTION,
            f"{wiring.ledger_place.uri} is no folder of this machine",
            remedy="set another ledger.uri and let ingest read the topics again",
        )


async def _rebuild(wiring: Wiring, *, accept_loss: bool) -> Rebuilt:
    from consumers.kafka import cluster_id, input_topics  # noqa: PLC0415
    from consumers.log_walk import LogReader  # noqa: PLC0415
    from consumers.rebuild_ledger import RebuildLedger  # noqa: PLC0415
    from producers.kafka import KafkaProducer  # noqa: PLC0415
    from service.wiring import clock  # noqa: PLC0415
    from stores.control.erasures import names as erased  # noqa: PLC0415

    wiring.erase.recall(clock())
    cluster = await cluster_id(wiring.kafka)
    producer = KafkaProducer(wiring.kafka)
    operation = RebuildLedger(
        wiring.settings.places.ledger,
        cluster,
        lambda folder: wiring.ingest_batch(cluster, folder),
        wiring.dead_letters(producer),
        wiring.count_ledger.recount,
        f"{wiring.settings.curation.model_dump_json()} {wiring.database.read(erased)}",
    )
    topics = input_topics(wiring.settings.kafka.prefix)
    try:
        async with LogReader(wiring.kafka) as log:
            with progress() as say:
                return await operation(log, topics, clock(), accept_loss=accept_loss, say=say)
    finally:
        await producer.stop()


def accept_gap(
    topic: Annotated[str, typer.Argument(help="The input topic, with or without the prefix.")],
    partition: Annotated[int, typer.Argument(min=0, help="The partition's number.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.")],
    yes: _Yes = False,
    config: Config = None,
    data: Data = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Let ingest go on in a partition whose stored offset is outside its log, on record."""
    from stores.ledger.hold import share  # noqa: PLC0415

    quiet_kafka()
    wiring = wiring_of(config, data, bootstrap)
    topic = input_topic(wiring.settings.kafka.prefix, topic)
    found, operation = asyncio.run(_look(wiring, topic, partition))
    if not as_json:
        _show(found)
    ask(f"Read on from {found.bounds.first}?", yes=yes)
    with share(wiring.ledger_place):
        operation.accept(found, actor=actor(), reason=reason)
    if as_json:
        print_json(
            {
                "partition_key": found.key,
                "stored": found.stored,
                "log_start": found.bounds.first,
                "log_end": found.bounds.stable,
                "made_anew": found.made_anew,
                "lost": found.lost,
            }
        )
        return
    typer.echo(f"Accepted. {topic}[{partition}] is read on from {found.bounds.first}.")


def compact(config: Config = None, data: Data = None, as_json: AsJson = False) -> None:
    """Do the ledger's maintenance now: merge small files, trim the log, delete what nothing needs."""
    from service.wiring import clock  # noqa: PLC0415
    from stores.ledger.scan import Scan  # noqa: PLC0415

    wiring = wiring_of(config, data)
    before = Scan(wiring.ledger_place)
    if not wiring.maintain_ledger(clock(), least=_LEAST_FILES):
        raise NotReady(Code.LEDGER_IN_USE, "somebody else maintains it", remedy="try again later")
    after = Scan(wiring.ledger_place)
    found = {"before": _files(before), "after": _files(after)}
    if as_json:
        print_json(found)
        return
    if found["before"]["files"] == found["after"]["files"]:
        files = counted(found["after"]["files"], "data file")
        typer.echo(f"{files}, {size(found['after']['bytes'])}: nothing worth merging yet")
        return
    rows = [(name, f["files"], size(f["bytes"]), f["version"]) for name, f in found.items()]
    print_table("Data files", ["", "files", "size", "version"], rows)


def _files(scan: Scan) -> dict[str, int]:
    files = scan.files()
    return {
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "version": scan.version,
    }


async def _look(wiring: Wiring, topic: str, partition: int) -> tuple[Outside, AcceptGap]:
    from consumers.accept_gap import AcceptGap  # noqa: PLC0415
    from consumers.kafka import cluster_id  # noqa: PLC0415
    from consumers.log_walk import LogReader  # noqa: PLC0415
    from schemas.records import TopicPartition  # noqa: PLC0415
    from stores.ledger.delta import DeltaLedgerWriter  # noqa: PLC0415

    cluster = await cluster_id(wiring.kafka)
    writer = DeltaLedgerWriter(wiring.ledger_place, cluster)
    operation = AcceptGap(wiring.ledger, writer, wiring.database, cluster)
    async with LogReader(wiring.kafka) as log:
        return await operation.look(log, TopicPartition(topic, partition)), operation


def _show(found: Outside) -> None:
    typer.echo(
        f"{found.tp.topic}[{found.tp.partition}]: the ledger stands at {found.stored}, the log holds"
        f" {found.bounds.first} to {found.bounds.stable}."
    )
    if found.made_anew:
        typer.echo("The topic was made anew: what the old one still held is lost for ever.")
    else:
        typer.echo(f"{found.lost:,} offsets expired before they were read: lost for ever.")
