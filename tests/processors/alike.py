"""What the near-duplicate search should find, worked out pair by pair. Shares no code with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

_UNSPACED = (
    "\u0e00-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_UNSPACED}]|[^ {_UNSPACED}]+")


class Expected(NamedTuple):
    """As `Duplicates`, in lists; fates by name."""

    fates: list[str]
    clusters: list[int]


def grams(text: str) -> set[str]:
    """The word 3-grams of a folded text, each as it stands there."""
    words = list(_WORD.finditer(text))
    spans = (
        zip(words, words[2:], strict=False)
        if len(words) > 2
        else zip(words[:1], words[-1:], strict=True)
    )
    return {text[first.start() : last.end()] for first, last in spans} or {""}


def jaccard(left: str, right: str) -> float:
    """The similarity of two folded texts."""
    one, other = grams(left), grams(right)
    return len(one & other) / len(one | other)


def expected(
    texts: Sequence[str], ranks: Sequence[int], threshold: float, forbidden: Sequence[str]
) -> Expected:
    """By brute force: everything with everything."""
    everything = [*forbidden, *texts]
    golden = len(forbidden)
    alike: list[set[int]] = [set() for _ in everything]
    for i, j in combinations(range(len(everything)), 2):
        if everything[i] == everything[j] or jaccard(everything[i], everything[j]) >= threshold:
            alike[i].add(j)
            alike[j].add(i)
    fates = [""] * len(everything)
    for i in sorted(range(golden, len(everything)), key=lambda i: (ranks[i - golden], i)):
        fates[i] = _fate(i, everything, alike, fates, golden)
    return Expected(fates[golden:], _clusters(alike, golden))


def _fate(
    i: int, everything: Sequence[str], alike: Sequence[set[int]], fates: Sequence[str], golden: int
) -> str:
    if any(j < golden for j in alike[i]):
        return "GOLDEN"
    before = [j for j in alike[i] if fates[j] == "KEPT"]
    if any(everything[j] == everything[i] for j in before):
        return "EXACT_DUPLICATE"
    return "NEAR_DUPLICATE" if before else "KEPT"


def _clusters(alike: Sequence[set[int]], golden: int) -> list[int]:
    named: dict[int, int] = {}
    for start in range(golden, len(alike)):
        if start not in named:
            reached, edge = {start}, [start]
            while edge:
                fresh = alike[edge.pop()] - reached
                reached |= fresh
                edge += fresh
            named.update(dict.fromkeys(reached, start - golden))
    return [named[i] for i in range(golden, len(alike))]
