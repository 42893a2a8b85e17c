"""What a card says of how a dataset came to be, and of how to read it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from processors.curation.card.content import Block, Cell, Code, Table
from schemas.datasets import Manifest, Recipe


def making(manifest: Manifest) -> Iterator[Block]:
    """Lineage, recipe, offsets, libraries."""
    lineage: list[list[Cell]] = [
        ["digest", manifest.digest],
        ["dataset before", manifest.parent or "none"],
        ["golden set kept out", manifest.golden or "none"],
        ["erasures applied (digest)", manifest.erased],
        ["shards", len(manifest.shards)],
    ]
    yield Table("Lineage", ["", ""], lineage)
    usual = Recipe().model_dump(mode="json")
    recipe: list[list[Cell]] = [
        [name, json.dumps(value), "" if value == usual[name] else json.dumps(usual[name])]
        for name, value in manifest.recipe.model_dump(mode="json").items()
    ]
    yield Table("Recipe", ["setting", "value", "default, where it differs"], recipe)
    offsets: list[list[Cell]] = [[name, at] for name, at in sorted(manifest.offsets.items())]
    if offsets:
        yield Table("Sealed up to these offsets", ["cluster:topic:partition", "offset"], offsets)
    libraries: list[list[Cell]] = [list(each) for each in sorted(manifest.libraries.items())]
    yield Table("Libraries", ["name", "version"], libraries)


def loading(manifest: Manifest) -> Iterator[Block]:
    """Commands and code."""
    short = manifest.digest[:12]
    yield Code(
        "sh",
        f"lorikeet datasets verify {short}\n"
        f"lorikeet datasets export {short} --format chat-jsonl --out FOLDER",
    )
    yield Code(
        "python",
        "from datasets import load_dataset\n\n"
        'examples = load_dataset("FOLDER")  # train, validation, test: {messages, tools}',
    )
