"""The sums of `lorikeet ledger verify` as tables that fit a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import typer

from service.cli.options import print_table

if TYPE_CHECKING:
    from consumers.reconcile import PartitionReport

_RECORDS = {
    "received": "received",
    "accepted": "accepted",
    "review": "review",
    "rejected": "rejected",
    "duplicate": "duplicate",
    "dead_letter": "dead\nletters",
}
_LOG = {"first": "first", "end": "end"}
_OTHERS = {
    "markers": "markers",
    "aborted": "aborted",
    "compacted": "compacted",
    "expired_with_row": "expired,\nrow",
    "expired_without_row": "expired,\nno row",
    "expired_in_gap": "expired,\ngap",
    "in_gap": "left\nout",
    "retired": "retired",
    "not_yet_read": "not yet\nread",
    "letters_expired": "letters\nexpired",
}


def print_reports(reports: Sequence[PartitionReport]) -> None:
    """Two tables a topic: what its records became, and its log with the offsets that hold none."""
    from consumers.reconcile import OFFENCES  # noqa: PLC0415

    for topic, group in groupby(reports, key=lambda report: report.topic):
        known = [report for report in group if report.end or report.offences]
        if not known:
            typer.echo(f"{topic}: nothing was ever written\n")
            continue
        _table(topic, _RECORDS, known)
        others = {name: title for name, title in _OTHERS.items() if _any(known, name)}
        _table("Offsets of the log", {**_LOG, **others}, known)
        for what in OFFENCES:
            for report in known:
                _print_offence(report, what, OFFENCES[what])
    _print_sum(reports)


def _any(reports: Sequence[PartitionReport], name: str) -> bool:
    return any(getattr(report, name) for report in reports)


def _table(title: str, columns: dict[str, str], reports: Sequence[PartitionReport]) -> None:
    rows = [(_name(report), *(getattr(report, name) for name in columns)) for report in reports]
    print_table(title, ["#", *columns.values()], rows)


def _name(report: PartitionReport) -> str:
    return (
        f"{report.partition}#{report.incarnation}" if report.incarnation else str(report.partition)
    )


def _print_offence(report: PartitionReport, what: str, meaning: str) -> None:
    if what in report.offences:
        one = report.offences[what]
        places = ", ".join(f"@{offset}" for offset in one.first)
        more = ", …" if one.count > len(one.first) else ""
        typer.echo(f"{report.topic}[{report.partition}]: {one.count:,} {meaning}: {places}{more}")


def _print_sum(reports: Sequence[PartitionReport]) -> None:
    names = ("accepted", "review", "rejected", "duplicate", "dead_letter")
    sums = {name: sum(getattr(report, name) for report in reports) for name in names}
    received = sum(report.received for report in reports)
    words = {"dead_letter": "dead letters"}
    parts = " + ".join(f"{count:,} {words.get(name, name)}" for name, count in sums.items())
    sign = "=" if received == sum(sums.values()) else "≠"
    typer.echo(f"{received:,} received {sign} {parts}")
    behind = sum(report.not_yet_read for report in reports)
    if behind:
        typer.echo(f"{behind:,} not yet read")
