"""`lorikeet datasets diff | verify`: two datasets beside each other, one beside its manifest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.dataset_place import Digest, whole_digest
from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    counted,
    percent,
    print_json,
    print_table,
    progress,
    wiring_of,
)
from service.cli.partitions import partition_of

_MOST = 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LISTS = ("added", "removed", "changed", "moved", "reweighed")
_MOVED = 0.01
"""A share has to move so far to be printed."""


def add_to(datasets: typer.Typer) -> None:
    """Register the commands."""
    datasets.command(name="diff")(diff)
    datasets.command(name="verify")(verify)


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A dataset's digest, or its start.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The one to compare with it.")],
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What B has that A has not, and why; --json names the rows."""
    from operations.compare_datasets import CompareDatasets  # noqa: PLC0415

    wiring = wiring_of(config, data)
    pair = [whole_digest(wiring, each) for each in (before, after)]
    found = CompareDatasets(wiring.datasets)(*pair)
    if as_json:
        print_json(found)
        return
    said = [f"{len(found[name]):,} {name}" for name in _LISTS]
    typer.echo(f"{pair[0][:SHORT]} → {pair[1][:SHORT]}: examples {', '.join(said)}")
    fates = [(f["before"], f["after"], f["rows"]) for f in found["fates"]]
    print_table("Fates that changed", ["before", "after", "rows"], fates[:_MOST])
    rows = [(*where, _plain(a), _plain(b)) for where, (a, b) in _differences(found)]
    print_table("What differs", ["", "", "A", "B"], rows)
    drift = found["drift"]
    psi = [(n, f"{p['index']:.3f}", f"{p['expected']:.3f}") for n, p in drift["psi"].items()]
    print_table("Population stability index", ["", "index", "by chance"], psi)
    print_table("Shares", ["", "value", "A", "B"], list(_shares(drift["shares"])))


def _differences(found: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], list[Any]]]:
    for part in ("recipe", "counts", "pairs", "offsets", "other"):
        for key, values in found[part].items():
            name = partition_of(key) if part == "offsets" else key
            yield (part if part != "other" else "", name), values


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value[:SHORT] if _DIGEST.fullmatch(value) else value
    return value if isinstance(value, int) else "" if value is None else json.dumps(value)


def _shares(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for column, values in found.items():
        for value, share in values.items():
            if abs(share["now"] - share["before"]) >= _MOVED:
                yield column, value, percent(share["before"]), percent(share["now"])


def verify(
    digest: Digest, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Read a dataset again: its files, its digests, and that no part and no golden case leaks.

    Exit code 2 where anything is not as it should be.
    """
    from operations.verify_dataset import VerifyDataset  # noqa: PLC0415

    wiring = wiring_of(config, data)
    wanted = whole_digest(wiring, digest)
    with progress() as say:
        found = VerifyDataset(wiring.datasets)(wanted, say)
    if as_json:
        print_json(found)
    else:
        _print_findings(found)
    if found["faults"]:
        first, *others = found["faults"]
        more = f" (and {counted(len(others), 'other fault')})" if others else ""
        raise Unrecoverable(Code.DATASET_CORRUPT, f"{first}{more}")
    leaks = [f"{count:,} by {fact}" for fact, count in found["crossing"].items() if count]
    leaks += [f"{count:,} golden by {fact}" for fact, count in found["golden"].items() if count]
    if leaks:
        raise Unrecoverable(Code.DATASET_LEAKS, ", ".join(leaks))


def _checked(found: Mapping[str, int | None], fact: str) -> int | str:
    count = found.get(fact, "–")
    return "not checked" if count is None else count


def _print_findings(found: Mapping[str, Any]) -> None:
    read = (("shards", "shard"), ("examples", "example"), ("pairs", "pair"))
    typer.echo(", ".join(counted(found[name], one) for name, one in read) + " read")
    facts = [*dict.fromkeys([*found["crossing"], *found["golden"]])]
    rows = [
        (fact.replace("_", " "), *(_checked(found[part], fact) for part in ("crossing", "golden")))
        for fact in facts
    ]
    print_table("Values found", ["fact", "in two\nparts", "in the\ngolden set"], rows)
    for fault in found["faults"]:
        typer.echo(f"Fault: {fault}")
    if not found["faults"]:
        typer.echo("The dataset is what its manifest says.")
