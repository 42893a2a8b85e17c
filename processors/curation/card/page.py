"""A card as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from processors.curation.card.content import (
    Bars,
    Block,
    Cell,
    Code,
    Histogram,
    Table,
    is_number,
    written,
)
from processors.curation.card.plots import bars, histogram
from processors.curation.card.sections import sections, title
from schemas.datasets import Manifest

_LONG = 36
_STYLE = """
:root { color-scheme: light dark; --back: #ffffff; --ink: #1f2937; --soft: #4b5563; --line: #d1d5db;
  --part0: #2563eb; --part1: #047857; --part2: #b45309; --part3: #9f1239; --part4: #6b7280; }
@media (prefers-color-scheme: dark) { :root { --back: #111827; --ink: #f3f4f6; --soft: #b6bcc6;
  --line: #374151; --part0: #60a5fa; --part1: #34d399; --part2: #fbbf24; --part3: #fb7185;
  --part4: #9ca3af; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); }
figure { margin: 0; max-width: 30rem; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, sans-serif; }
.name { fill: var(--ink); font-size: 12px; font-weight: 600; }
.tick { fill: var(--soft); }
.grid { stroke: var(--line); fill: none; }
[class^=part] { stroke: var(--back); stroke-width: .75; }
.part0 { fill: var(--part0); } .part1 { fill: var(--part1); } .part2 { fill: var(--part2); }
.part3 { fill: var(--part3); } .part4 { fill: var(--part4); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
th, td { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td, th { white-space: nowrap; }
.long { white-space: normal; overflow-wrap: anywhere; min-width: 18rem; }
.number { text-align: right; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid var(--line); border-radius: .25rem; }
code { font: .875rem ui-monospace, monospace; }
"""


def card_page(manifest: Manifest) -> str:
    """The card of a dataset as a page; see `markdown` for the same as text."""
    heading = escape(title(manifest))
    body = "\n".join(_body(manifest))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{heading}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _body(manifest: Manifest) -> Iterator[str]:
    number = 0
    for section in sections(manifest):
        yield f"<section>\n<h2>{escape(section.title)}</h2>"
        for plotted, run in groupby(section.blocks, lambda b: isinstance(b, Bars | Histogram)):
            if not plotted:
                yield from map(_block, run)
                continue
            yield '<div class="plots">'
            for plot in run:
                number += 1
                yield f"<figure>{_plot(plot, number)}</figure>"
            yield "</div>"
        yield "</section>"


def _plot(block: Block, number: int) -> str:
    if isinstance(block, Bars):
        return bars(block, number)
    return histogram(block, number) if isinstance(block, Histogram) else ""


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block) if block.rows else ""
    if isinstance(block, Code):
        return f"<pre><code>{escape(block.text)}</code></pre>"
    return f"<p>{escape(str(block))}</p>"


def _table(table: Table) -> str:
    numbers = [is_number(column) for column in zip(*table.rows, strict=True)]
    head = "".join(_cell("th", name, n) for name, n in zip(table.columns, numbers, strict=True))
    rows = "\n".join(f"<tr>{_row(row, numbers)}</tr>" for row in table.rows)
    caption = escape(table.caption)
    shown = f"<thead><tr>{head}</tr></thead>\n" if any(table.columns) else ""
    return (
        f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table>'
        f"<caption>{caption}</caption>\n{shown}<tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(row: Sequence[Cell], numbers: Sequence[bool]) -> str:
    return "".join(
        _cell("td", written(cell), number) for cell, number in zip(row, numbers, strict=True)
    )


def _cell(tag: str, text: str, number: bool) -> str:  # noqa: FBT001 - a column's property
    scope = ' scope="col"' if tag == "th" else ""
    kind = "number" if number else "long" if len(text) > _LONG else ""
    return f"<{tag}{scope}{f' class={kind}' if kind else ''}>{escape(text)}</{tag}>"
