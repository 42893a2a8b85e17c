"""What a dataset's card says: a manifest as sections. See `processors.curation.seal.statistics`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from processors.curation.card.content import Bars, Block, Cell, Histogram, Section, Table, percent
from processors.curation.card.origin import loading, making
from processors.curation.difficulty import LEVELS
from schemas.datasets import Manifest, Split

Figures = Mapping[str, Any]
_QUANTILES = {"0.05": "5 %", "0.25": "25 %", "0.5": "median", "0.75": "75 %", "0.95": "95 %"}
_MOVED = 10
_NUMBERS = {
    "score": ("Composite score", "0–100"),
    "quality": ("Quality", "0–100"),
    "confidence": ("Confidence", "0–100"),
    "diversity": ("Diversity", "0–100"),
    "informativeness": ("Informativeness", "0–100"),
    "turns": ("Turns", "number"),
    "answer_chars": ("Length of the answers", "characters"),
}
"""How the numbers are called, in the order in which they are shown, and what they are counted in."""
_VALUES = {
    "source": "Sources",
    "origin": "Origins",
    "trust": "Classes of trust",
    "kind": "Runs and corrections",
}


def title(manifest: Manifest) -> str:
    """The card's heading."""
    return f"Dataset {manifest.version} of {manifest.tenant}/{manifest.model}"


def sections(manifest: Manifest) -> list[Section]:
    """The card, section by section; figures that the manifest does not have are left out."""
    figures = manifest.statistics
    found = [
        Section("Size", list(_size(manifest, figures))),
        Section("Scores", list(_scores(figures))),
        Section("Domains and difficulty", list(_cells(figures))),
        Section("Where it is from", list(_origins(figures))),
        Section("What was left out", list(_dropped(manifest, figures))),
        Section("Preference pairs", list(_pairs(figures))),
        Section("Personal data", list(_pii(figures))),
        Section("Against the dataset before", list(_drift(figures))),
        Section("How it was made", list(making(manifest))),
        Section("How to load it", list(loading(manifest))),
    ]
    return [section for section in found if section.blocks]


def _size(manifest: Manifest, figures: Figures) -> Iterator[Block]:
    total = sum(manifest.counts.values())
    if figures:
        first, last = figures["times"]
        kept = percent(figures["clean_rate"] or 0)
        yield (
            f"{total:,} examples of {figures['candidates']:,} candidates ({kept} kept), of events from"
            f" {first or '–'} to {last or '–'}. A candidate is a run or plan inside the window;"
            f" {manifest.dropped.get('outside_window', 0):,} outside of it are not counted here."
        )
    deviation = figures.get("deviation", {})
    rows: list[list[Cell]] = []
    for split in map(str, Split):
        count = manifest.counts.get(split, 0)
        moved = deviation.get(split)
        rows.append(
            [
                split,
                count,
                percent(count / total) if total else None,
                None if moved is None else percent(moved),
                manifest.pairs.get(split, 0),
            ]
        )
    columns = ["split", "examples", "share", "off the share asked for", "preference pairs"]
    yield Table("Examples by split", columns, rows)
    if "mean_of_cells" in deviation:
        off = percent(deviation["mean_of_cells"])
        yield f"The shares of a domain and difficulty are {off} off the ones asked for on average."


def _scores(figures: Figures) -> Iterator[Block]:
    known = figures.get("numbers", {})
    numbers = {n: known[n] for n in _NUMBERS if n in known and known[n]["known"]}
    for name, found in numbers.items():
        yield Histogram(*_NUMBERS[name], found["edges"], found["counts"])
    rows = [
        [_NUMBERS[n][0], f["known"], f["mean"], *(f["quantiles"][q] for q in _QUANTILES)]
        for n, f in numbers.items()
    ]
    yield from _table("Scores", ["", "known", "mean", *_QUANTILES.values()], rows)
    if figures.get("values", {}).get("kind", {}).get("correction"):
        yield (
            "The quality of a correction is that of the run that was mended, not of the answer that is"
            " learned: it may lie below the recipe's min_quality."
        )


def _cells(figures: Figures) -> Iterator[Block]:
    cells = figures.get("cells", [])
    present = {cell["level"] for cell in cells}
    levels = [*(n for n in LEVELS if n in present), *sorted(present - set(LEVELS))]
    kept = {(cell["domain"], cell["level"]): cell for cell in cells}
    domains = sorted({cell["domain"] for cell in cells})
    values = [(d, [kept.get((d, n), {}).get("kept", 0) for n in levels]) for d in domains]
    values.sort(key=lambda each: (-sum(each[1]), each[0]))
    if cells:
        yield Bars("Examples by domain and difficulty", [_said(n) for n in levels], values)
    rows = [
        [c["domain"], _said(c["level"]), c["kept"], *(c[str(split)] for split in Split)]
        for c in cells
    ]
    yield from _table("Cells", ["domain", "difficulty", "examples", *map(str, Split)], rows)


def _origins(figures: Figures) -> Iterator[Block]:
    for name, caption in _VALUES.items():
        yield from _counted(caption, _said(name), figures.get("values", {}).get(name, {}))
    own = figures.get("own_output")
    if own:
        share = percent(own["share"])
        yield f"Answers that an adapter of this model wrote itself: {share} of the examples."
        yield from _counted("Own output", "adapter", own["adapters"])


def _counted(caption: str, column: str, counts: Mapping[str, int]) -> Iterator[Block]:
    total = sum(counts.values())
    rows = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    yield from _table(
        caption, [column, "examples", "share"], [[n, c, percent(c / total)] for n, c in rows]
    )


def _dropped(manifest: Manifest, figures: Figures) -> Iterator[Block]:
    dropped = figures.get("dropped") or [
        {"reason": reason, "selection": None, "rows": rows}
        for reason, rows in sorted(manifest.dropped.items())
    ]
    if dropped:
        bars = [(_said(each["reason"]), [each["rows"]]) for each in dropped]
        yield Bars("Candidates left out, by reason", ["candidates"], bars)
    rows = [[_said(each["reason"]), each["selection"], each["rows"]] for each in dropped]
    yield from _table("Candidates left out", ["reason", "decision", "candidates"], rows)
    found = figures.get("duplicates")
    if found:
        yield (
            f"Duplicates: {found['exact']:,} exact, {found['near']:,} near;"
            f" {found['repeated']:,} events that were sent twice."
        )


def _pairs(figures: Figures) -> Iterator[Block]:
    margin = figures.get("pairs", {}).get("margin", {"known": 0})
    if margin["known"]:
        yield f"{margin['known']:,} pairs, on average {margin['mean']:.2f} apart (0–1)."
        yield Histogram("Margin", "0–1", margin["edges"], margin["counts"])


def _pii(figures: Figures) -> Iterator[Block]:
    found = figures.get("pii", {})
    if found:
        yield "Found and replaced by placeholders before anything was stored; counted by keyed hashes."
    rows = [[kind, f["rows"], f["times"], f["values"]] for kind, f in sorted(found.items())]
    yield from _table("By kind", ["kind", "examples", "times", "different values"], rows)


def _drift(figures: Figures) -> Iterator[Block]:
    drift = figures.get("drift")
    if not drift:
        return
    yield (
        "Population stability index: below 0.1 is stable, above 0.25 another population, where it is well"
        " above what two samples of these sizes show by chance."
    )
    rows: list[list[Cell]] = [
        [_NUMBERS[name][0], found["index"], found["expected"]]
        for name, found in drift["psi"].items()
        if name in _NUMBERS
    ]
    yield from _table("Numbers", ["", "index", "by chance"], rows)
    moves = [
        (abs(s["now"] - s["before"]), _said(column), value, s["before"], s["now"])
        for column, shares in drift["shares"].items()
        for value, s in shares.items()
    ]
    largest = sorted(moves, key=lambda move: (-move[0], *move[1:3]))[:_MOVED]
    shown: list[list[Cell]] = [[c, v, percent(b), percent(n)] for _, c, v, b, n in largest]
    yield from _table("Shares that moved most", ["column", "value", "before", "now"], shown)


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[Table]:
    if rows:
        yield Table(caption, columns, rows)


def _said(name: str) -> str:
    """A name as people write it."""
    return name.replace("_", " ")
