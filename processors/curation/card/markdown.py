"""A card as Markdown: what the plots of the page show stands in its tables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from processors.curation.card.content import Bars, Block, Code, Histogram, Table, is_number, written
from processors.curation.card.sections import sections, title
from schemas.datasets import Manifest

_EIGHTHS = "·▁▂▃▄▅▆▇█"


def card_markdown(manifest: Manifest) -> str:
    """The card of a dataset. What events say of themselves in it is text: to a terminal, and as Markdown."""
    text = "\n\n".join(_parts(manifest)) + "\n"
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _parts(manifest: Manifest) -> Iterator[str]:
    yield f"# {title(manifest)}"
    for section in sections(manifest):
        yield f"## {section.title}"
        yield from (text for block in section.blocks if (text := _block(block)))


@singledispatch
def _block(block: Block) -> str:
    return str(block)


@_block.register
def _table(block: Table) -> str:
    if not block.rows:
        return ""
    numbers = [is_number(column) for column in zip(*block.rows, strict=True)]
    rule = ["---:" if number else "---" for number in numbers]
    lines = [block.columns, rule, *([written(cell) for cell in row] for row in block.rows)]
    return f"**{block.caption}**\n\n" + "\n".join(
        f"| {' | '.join(map(_cell, row))} |" for row in lines
    )


@_block.register
def _code(block: Code) -> str:
    return f"```{block.language}\n{block.text}\n```"


@_block.register
def _histogram(block: Histogram) -> str:
    block = block.reached()
    highest = max(block.counts) or 1
    bars = "".join(_EIGHTHS[-(-8 * count // highest)] for count in block.counts)
    return f"{block.title}, {written(block.edges[0])} `{bars}` {written(block.edges[-1])}"


@_block.register
def _bars(_: Bars) -> str:
    return ""


_MARKUP = str.maketrans({"\n": " ", "<": "&lt;"} | {sign: f"\\{sign}" for sign in "\\|`*[]"})


def _cell(text: str) -> str:
    return text.translate(_MARKUP)
