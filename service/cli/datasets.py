"""`lorikeet datasets list | show | card | seal`; comparing and exporting have modules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import Code, Unrecoverable
from service.cli import datasets_compare, datasets_export, erasure, golden, review
from service.cli.dataset_place import Digest, whole_digest
from service.cli.options import (
    SHORT,
    AsJson,
    Config,
    Data,
    Tenant,
    print_json,
    print_table,
    utc,
    wiring_of,
)

if TYPE_CHECKING:
    from schemas.datasets import Manifest, Recipe
    from service.wiring import Wiring

_DATASETS = typer.Typer(help="Sealed datasets.", no_args_is_help=True)
_SPLITS = ("train", "validation", "test")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(_DATASETS, name="datasets")
    datasets_compare.add_to(_DATASETS)
    datasets_export.add_to(_DATASETS)
    review.add_to(_DATASETS)
    golden.add_to(_DATASETS)
    erasure.add_to(_DATASETS)


@_DATASETS.command(name="list")
def list_datasets(
    model: Annotated[str | None, typer.Argument(help="The model's name (default: all).")] = None,
    tenant: Tenant = "default",
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Sealed datasets, oldest first."""
    from stores.control import registry  # noqa: PLC0415

    wiring = wiring_of(config, data)
    if model is None:
        found = wiring.database.read(registry.dataset_list)
    else:
        wiring.settings.model(tenant, model)
        found = wiring.database.read(lambda c: registry.dataset_list(c, tenant, model))
    if as_json:
        print_json(found)
        return
    rows = [
        (
            f"{d['tenant']}/{d['model']}",
            d["version"],
            d["digest"][:SHORT],
            *(d["counts"].get(split, 0) for split in _SPLITS),
            utc(d["created_at"]),
            _then(d),
        )
        for d in found
    ]
    columns = ["model", "version", "digest", *_SPLITS, "sealed", "erased"]
    print_table(
        "Datasets",
        columns,
        rows,
        whole=["digest", "sealed", "erased"],
        spare=["validation", "test", "sealed"],
    )


def _then(known: Mapping[str, Any]) -> str:
    """What came in the place of a dataset that was withdrawn."""
    if known["erased_by"] is None:
        return ""
    return f"now {known['successor'][:SHORT]}" if known["successor"] else "withdrawn"


@_DATASETS.command(name="show")
def show_dataset(
    digest: Digest, config: Config = None, data: Data = None, as_json: AsJson = False
) -> None:
    """What a dataset holds, what was left out and why, and what was trained on it.

    With --json its manifest: the recipe and all figures too.
    """
    wiring = wiring_of(config, data)
    manifest = wiring.datasets.manifest(whole_digest(wiring, digest))
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    _print_summary(wiring, manifest)


@_DATASETS.command(name="card")
def card(
    digest: Digest,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write it as a page, with plots.")
    ] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """What is in a dataset and how it came to be: Markdown, or one HTML file."""
    from processors.curation.card.markdown import card_markdown  # noqa: PLC0415
    from processors.curation.card.page import card_page  # noqa: PLC0415

    wiring = wiring_of(config, data)
    manifest = wiring.datasets.manifest(whole_digest(wiring, digest))
    if html is None:
        typer.echo(card_markdown(manifest), nl=False)
        return
    try:
        html.write_text(card_page(manifest), encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        detail = f"--html {html}: {error.strerror}"
        remedy = "name a file in a folder that is there"
        raise Unrecoverable(Code.BAD_OPTION, detail, remedy=remedy) from error
    except OSError as error:
        raise Unrecoverable(Code.UNWRITABLE, f"{html}: {error.strerror}") from error
    typer.echo(f"Written: {html}")


@_DATASETS.command(name="seal")
def seal_dataset(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    tenant: Tenant = "default",
    again: Annotated[
        str | None,
        typer.Option(
            "--again",
            metavar="DIGEST",
            help="The window and recipe of this dataset of the model once more; mends its files.",
        ),
    ] = None,
    config: Config = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Seal what the ledger holds now under the model's recipe, without training on it.

    What is sealed already is not sealed twice. With --json the manifest is printed.
    """
    from service.wiring import clock  # noqa: PLC0415
    from stores.control import counters, registry  # noqa: PLC0415

    wiring = wiring_of(config, data)
    recipe = wiring.settings.model(tenant, model).recipe
    wiring.count_ledger()
    if again is None:
        offsets = wiring.database.read(counters.offsets)
    else:
        recipe, offsets = _window(wiring, tenant, model, again)
    known = {d["digest"] for d in wiring.database.read(registry.dataset_list)}
    manifest = wiring.seal_dataset(tenant, model, recipe, offsets, clock())
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    typer.echo("Sealed already:" if manifest.digest in known else "Newly sealed:")
    _print_summary(wiring, manifest)


def _window(wiring: Wiring, tenant: str, model: str, digest: str) -> tuple[Recipe, dict[str, int]]:
    """The recipe and the offsets that a dataset of the model was sealed with."""
    found = wiring.datasets.manifest(whole_digest(wiring, digest))
    if (found.tenant, found.model) != (tenant, model):
        detail = f"--again {digest}: it is of {found.tenant}/{found.model}"
        raise Unrecoverable(Code.BAD_OPTION, detail)
    return found.recipe, found.offsets


def _print_summary(wiring: Wiring, manifest: Manifest) -> None:
    from service.cli.dataset_summary import summary  # noqa: PLC0415
    from stores.control import registry  # noqa: PLC0415

    listed = wiring.database.read(registry.dataset_list)
    sealed = next((d["created_at"] for d in listed if d["digest"] == manifest.digest), None)
    versions = wiring.database.read(registry.every)
    trained = [v for v in versions if v.dataset_digest == manifest.digest]
    for line in summary(manifest, sealed, trained):
        typer.echo(line)
