"""What leaks across a split: an independent checker. It shares no code with the split or the search.

It looks at nothing but the rows of a dataset: for each fact that must not cross (session, user, task,
cluster) the values that are in more than one part, and the groups that these facts make; and prompts
in different parts that resemble each other, counted gram by gram.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

from tests.processors.alike import grams

FACTS = ("session", "user", "task", "cluster")


def leaks(rows: Sequence[Mapping[str, Any]], facts: Iterable[str] = FACTS) -> set[tuple[str, Any]]:
    """The (fact, value) pairs that are in more than one part. Each row has a `split`."""
    where: dict[tuple[str, Any], set[Any]] = defaultdict(set)
    for row in rows:
        for fact in facts:
            if row.get(fact) is not None:
                where[fact, row[fact]].add(row["split"])
    return {key for key, parts in where.items() if len(parts) > 1}


def crossing_groups(rows: Sequence[Mapping[str, Any]], facts: Iterable[str] = FACTS) -> int:
    """How many groups (friends of friends by the facts) are in more than one part."""
    names = list(facts)
    holders: dict[tuple[str, Any], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        for fact in names:
            if row.get(fact) is not None:
                holders[fact, row[fact]].append(number)
    seen = [False] * len(rows)
    crossing = 0
    for start in range(len(rows)):
        parts: set[Any] = set()
        waiting = [] if seen[start] else [start]
        while waiting:
            number = waiting.pop()
            if seen[number]:
                continue
            seen[number] = True
            parts.add(rows[number]["split"])
            for fact in names:
                if rows[number].get(fact) is not None:
                    waiting += holders.pop((fact, rows[number][fact]), [])
        crossing += len(parts) > 1
    return crossing


def alike_across(
    texts: Sequence[str], parts: Sequence[Any], threshold: float
) -> list[tuple[int, int, float]]:
    """Pairs of folded texts in different parts at or above a similarity, with it.

    Exact: two that alike share one of their rarest grams (Bayardo, Ma, Srikant 2007).
    """
    sets = [grams(text) for text in texts]
    count: dict[str, int] = defaultdict(int)
    for members in sets:
        for gram in members:
            count[gram] += 1
    by_gram: dict[str, list[int]] = defaultdict(list)
    found: dict[tuple[int, int], float] = {}
    for number, members in enumerate(sets):
        rare = sorted(members, key=lambda gram: (count[gram], gram))
        for gram in rare[: len(rare) - ceil(threshold * len(rare) - 1e-9) + 1]:
            for other in by_gram[gram]:
                if parts[other] != parts[number] and (other, number) not in found:
                    shared = len(sets[other] & members)
                    found[other, number] = shared / (len(sets[other]) + len(members) - shared)
            by_gram[gram].append(number)
    return [(*pair, value) for pair, value in found.items() if value >= threshold]
