"""Texts of real agent traces, and altered copies of them whose true similarity is known."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.processors.alike import jaccard

_PIECE = 25, 75
_FRAGMENT = 10, 25
_FRAGMENTS = 3
_FAINTEST = 0.6
Recipe = Callable[[list[str], random.Random], list[str]]


class Corpus(NamedTuple):
    """Folded texts, and the planted pairs: (original, copy, recipe, true similarity)."""

    texts: list[str]
    planted: list[tuple[int, int, str, float]]


def spliced(data: Path, count: int, seed: int) -> Corpus:
    """`count` texts, a tenth of them altered copies, the others unlike each other: each is three
    fragments of 10 to 25 words, drawn from all messages. What traces themselves repeat is in
    `as_they_are`.
    """
    dice = random.Random(seed)
    pool = list(dict.fromkeys(_pieces(data, dice, *_FRAGMENT)))
    wanted = count - count // 10
    texts: dict[str, None] = {}
    while len(texts) < wanted:
        texts[" ".join(dice.sample(pool, _FRAGMENTS))] = None
    return _with_copies(list(texts), count, dice)


def as_they_are(data: Path, count: int, seed: int) -> Corpus:
    """`count` different texts, nine tenths consecutive pieces of 25 to 75 words of the messages, with
    all their likeness, and a tenth altered copies.
    """
    dice = random.Random(seed)
    pieces = list(dict.fromkeys(_pieces(data, dice, *_PIECE)))
    dice.shuffle(pieces)
    return _with_copies(pieces[: count - count // 10], count, dice)


def _with_copies(texts: list[str], count: int, dice: random.Random) -> Corpus:
    """Copies with a true similarity of 0.6 or more are added until there are `count` texts."""
    originals = len(texts)
    planted: list[tuple[int, int, str, float]] = []
    while len(texts) < count:
        original = dice.randrange(originals)
        name = dice.choice(list(RECIPES))
        copy = " ".join(RECIPES[name](texts[original].split(), dice))
        similarity = jaccard(texts[original], copy)
        if similarity >= _FAINTEST and copy != texts[original]:
            planted.append((original, len(texts), name, similarity))
            texts.append(copy)
    return Corpus(texts, planted)


def _pieces(data: Path, dice: random.Random, shortest: int, longest: int) -> Iterator[str]:
    for text in _messages(data):
        words = text.lower().split()
        at = 0
        while len(words) - at >= shortest:
            length = dice.randint(shortest, longest)
            yield " ".join(words[at : at + length])
            at += length


def _messages(data: Path) -> Iterator[str]:
    for path in sorted((data / "mint").glob("*.jsonl.gz")):
        for line in _text(path).splitlines():
            record = json.loads(line)
            yield record["task"]["prompt"]
            yield from (turn["content"] for turn in record["state"]["history"])
    for folder in ("intercode-sql-bash", "tau-bench-airline-gpt4o", "planbench", "tau2-sft-ab"):
        for path in sorted((data / folder).rglob("*.json.gz")):
            yield from _strings(json.loads(_text(path)))


def _text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for held in value.values():
            yield from _strings(held)
    elif isinstance(value, list):
        for held in value:
            yield from _strings(held)


def _replace(words: list[str], dice: random.Random) -> list[str]:
    for _ in range(dice.randint(1, 2)):
        words[dice.randrange(len(words))] = f"other{dice.randrange(10_000)}"
    return words


def _delete(words: list[str], dice: random.Random) -> list[str]:
    at = dice.randrange(len(words))
    return words[:at] + words[at + dice.randint(1, 3) :]


def _insert(words: list[str], dice: random.Random) -> list[str]:
    at = dice.randrange(len(words))
    return (
        words[:at]
        + [f"more{dice.randrange(10_000)}" for _ in range(dice.randint(1, 4))]
        + words[at:]
    )


def _swap(words: list[str], dice: random.Random) -> list[str]:
    at = dice.randrange(len(words) - 1)
    words[at : at + 2] = reversed(words[at : at + 2])
    return words


def _shorten(words: list[str], dice: random.Random) -> list[str]:
    return words[: -dice.randint(1, max(2, len(words) // 8))]


def _address(words: list[str], dice: random.Random) -> list[str]:
    return [*dice.choice(("please", "hello there ,", "dear agent , could you")).split(), *words]


def _move(words: list[str], dice: random.Random) -> list[str]:
    at = dice.randrange(5, len(words) - 5)
    return words[at:] + words[:at]


RECIPES: dict[str, Recipe] = {
    "1-2 words replaced": _replace,
    "1-3 words deleted": _delete,
    "1-4 words inserted": _insert,
    "two words swapped": _swap,
    "end cut off": _shorten,
    "form of address put before": _address,
    "two halves exchanged": _move,
}


def person_records(data: Path) -> tuple[list[str], list[str]]:
    """FEBRL: 500 generated persons and one damaged copy each; the texts and whose they are."""
    path = data / "near-duplicates" / "febrl_dataset1.csv.gz"
    rows = list(csv.reader(_text(path).splitlines(), skipinitialspace=True))[1:]
    return [_folded(row[1:]) for row in rows], [row[0].split("-")[1] for row in rows]


def site_records(data: Path) -> tuple[list[str], list[str]]:
    """3,337 real records of child-care sites from nine sources: name, address, telephone."""
    path = data / "near-duplicates" / "csv_example_input_with_true_ids.csv.gz"
    rows = list(csv.DictReader(_text(path).splitlines(keepends=True)))
    fields = ("Site name", "Address", "Zip", "Phone")
    return [_folded([row[field] for field in fields]) for row in rows], [
        row["True Id"] for row in rows
    ]


def _folded(values: Sequence[str]) -> str:
    return " ".join(" ".join(values).lower().split())
