"""`lorikeet datasets export`: a dataset as files for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from service.cli.dataset_place import Digest, whole_digest
from service.cli.options import AsJson, Config, Data, counted, print_json, progress, size, wiring_of


def add_to(datasets: typer.Typer) -> None:
    """Register the command."""
    datasets.command(name="export")(export)


def export(
    digest: Digest,
    out: Annotated[Path, typer.Option(metavar="DIR", help="An empty folder, or none yet.")],
    *,
    format: Annotated[  # noqa: A002 - what it is called
        str, typer.Option(help="parquet, chat-jsonl, alpaca, preference or kto.")
    ] = "parquet",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a dataset so that Hugging Face `datasets` and TRL load it as it is.

    One file a split, the card as README.md, and a manifest with digests. `parquet` has all columns, messages
    and tools as JSON text, and the preference pairs in files of their own; the others are JSON lines.
    """
    from operations.export_dataset import ExportDataset  # noqa: PLC0415

    wiring = wiring_of(config, data)
    wanted = whole_digest(wiring, digest)
    with progress() as say:
        done = ExportDataset(wiring.datasets)(wanted, out, _format(format), say)
    if as_json:
        print_json(done)
        return
    rows = sum(file["rows"] for file in done["files"])
    whole = sum(file["bytes"] for file in done["files"])
    typer.echo(f"{counted(rows, 'record')}, {size(whole)} in {out}")
    for reason, count in done["skipped"].items():
        typer.echo(f"Left out: {counted(count, 'example')}, {reason.replace('_', ' ')}")


def _format(name: str) -> Any:
    from operations.export_dataset import Format  # noqa: PLC0415

    try:
        return Format(name)
    except ValueError:
        known = ", ".join(Format)
        raise Unrecoverable(Code.BAD_OPTION, f"--format {name}: there are {known}") from None
