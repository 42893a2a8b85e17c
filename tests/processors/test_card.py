"""The card of a dataset: one file, whole, and safe to open."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from processors.curation.card.content import Bars, Histogram
from processors.curation.card.markdown import card_markdown
from processors.curation.card.page import card_page
from processors.curation.card.plots import bars, histogram
from processors.curation.seal.statistics import statistics
from schemas.datasets import Manifest, Recipe, Shard, ShardKind
from schemas.digests import canonical_json
from tests.processors.test_statistics import DEVIATION, LINES, PAIRS, figures

HOSTILE = '<script>alert("1")</script>|`\n&'


def manifest(**changes: Any) -> Manifest:
    import pyarrow as pa

    lines = [*LINES, {**LINES[0], "source": HOSTILE, "domain": HOSTILE}]
    shown = statistics(pa.Table.from_pylist(lines), PAIRS, DEVIATION, figures(LINES[:120]))
    fields: dict[str, Any] = {
        "digest": "d" * 64,
        "version": "2.1.0",
        "tenant": "default",
        "model": "desk",
        "recipe": Recipe(min_quality=80),
        "offsets": {"c:execution.completed:0": 1234567},
        "counts": {"train": 101, "validation": 51, "test": 52},
        "pairs": {"train": 2, "test": 1},
        "dropped": {"near_duplicate": 7},
        "statistics": shown,
        "golden": "9" * 64,
        "erased": "e" * 64,
        "shards": (
            Shard(name="s", kind=ShardKind.EXAMPLES, split=None, rows=1, content="c", file="f"),
        ),
        "libraries": {"pyarrow": "26.0.1"},
        "parent": "a" * 64,
    }
    return Manifest(**{**fields, **changes})


class Page(HTMLParser):
    """What a browser would make of it: tags, text, what is loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [str(given[name]) for name in ("src", "href") if name in given]
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed() -> None:
    text = card_page(manifest())
    page = Page(text)
    assert page.open == []
    assert page.links == []
    assert not {"script", "link", "img", "iframe"} & set(page.seen)
    assert "url(" not in text
    assert len(page.ids) == len(set(page.ids)) == 2 * page.seen.count("svg") > 10
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_every_plot_says_what_it_shows_and_its_figures_stand_in_a_table() -> None:
    text = card_page(manifest())
    plots = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    for plot in plots:
        root = ET.fromstring(plot)
        named = str(root.get("aria-labelledby")).split()
        told = [root.find(f"*[@id='{name}']") for name in named]
        assert all(each is not None and each.text for each in told)
        assert root.get("role") == "img"
    markdown = card_markdown(manifest())
    for shown in ("| Quality | 204 |", "| near duplicate | REJECT | 7 |", "| EMAIL | 2 | 7 | 2 |"):
        assert shown in markdown
    assert "c:execution.completed:0 | 1,234,567" in markdown
    assert "| min_quality | 80.0 | 70.0 |" in markdown
    for digest in ("d" * 64, "a" * 64, "9" * 64, "e" * 64):
        assert digest in markdown
        assert digest in text


def test_what_candidates_are_and_whose_quality_a_correction_has() -> None:
    assert "3,914 outside of it are not" in card_markdown(
        manifest(dropped={"outside_window": 3914})
    )
    known = manifest().statistics
    for kinds, told in (({"run": 204}, False), ({"correction": 1, "run": 203}, True)):
        values = {**known["values"], "kind": kinds}
        one = manifest(statistics={**known, "values": values})
        assert ("run that was mended" in card_markdown(one)) is told
        assert ("run that was mended" in card_page(one)) is told


def test_what_events_say_cannot_become_markup() -> None:
    text, markdown = card_page(manifest()), card_markdown(manifest())
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<script" not in markdown
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in rows]
    breaks = [place for place, line in enumerate(rows) if set(line) <= set("|-: ")]
    for begin, end in zip(breaks, [*(b - 1 for b in breaks[1:]), len(rows)], strict=True):
        assert len(set(columns[begin - 1 : end])) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b]0;owned\x07rail", "\\x1b\\]0;owned\\x07rail"),
        ("\x9b31mred\r", "\\x9b31mred\\r"),
        ("\u202eliar", "\\u202eliar"),
        ("![x](http://a.example/?q)", "!\\[x\\](http://a.example/?q)"),
        ("`*a*`|\\", "\\`\\*a\\*\\`\\|\\\\"),
    ],
    ids=["title", "colour", "direction", "image", "markup"],
)
def test_what_events_say_moves_no_terminal_and_is_no_markdown(name: str, shown: str) -> None:
    import pyarrow as pa

    lines = [*LINES, *({**line, "source": name, "domain": name} for line in LINES)]
    figured = statistics(pa.Table.from_pylist(lines), PAIRS, DEVIATION, figures(LINES[:120]))
    text = card_markdown(manifest(statistics=figured))
    assert shown in text
    assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_the_same_manifest_gives_the_same_card() -> None:
    read = Manifest.model_validate_json(canonical_json(manifest().model_dump(mode="json")))
    assert card_page(read) == card_page(manifest())
    assert card_markdown(read) == card_markdown(manifest())


@pytest.mark.parametrize(
    "left_out", [{"statistics": {}}, {"statistics": {}, "counts": {}}], ids=str
)
def test_a_dataset_without_figures_has_a_card_too(left_out: dict[str, Any]) -> None:
    bare = manifest(**left_out, golden=None, parent=None, pairs={}, offsets={})
    assert "near duplicate" in card_markdown(bare)
    assert Page(card_page(bare)).open == []


def test_bars_are_as_long_as_their_numbers_and_stay_inside() -> None:
    drawn = bars(Bars("t", ["a", "b"], [("one", [30, 10]), ("x" * 200, [10, 0])]), 1)
    widths = [float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)" height="16.0"', drawn)]
    assert widths[0] == pytest.approx(3 * widths[1], abs=0.2)
    assert widths[2] == pytest.approx(widths[1], abs=0.2)
    grown = Histogram("t", "characters", [0, 1, 2, 4, 8, 1024], [0, 5, 10, 0, 0])
    shown = histogram(grown, 2)
    heights = [float(h) for h in re.findall(r'<rect[^>]*height="([\d.]+)"', shown)]
    assert heights == pytest.approx([0, heights[2] / 2, heights[2]], abs=0.1)
    assert ">1024<" not in shown
