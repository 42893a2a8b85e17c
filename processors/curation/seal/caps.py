"""How much of a dataset one origin may be: own output by generation, a source, a class of trust.

Which rows go is decided by a seeded hash of where they lie, so that the choice looks like the traffic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.seal.fates import Fates, Mask
from processors.curation.seal.selection import null
from processors.curation.seal.window import CANONICAL
from schemas.datasets import Recipe

Ranks: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
_Limit: TypeAlias = tuple[str, Mask, float | None, int | None]


def drawn(facts: pa.Table, seed: int, purpose: str) -> Ranks:
    """A number for each row, drawn from its place, the seed and the purpose: uniform over 64 bits."""
    places = zip(*(facts[name].to_pylist() for name in CANONICAL), strict=True)
    prefix = f"{purpose}\0{seed}\0"
    texts = (f"{prefix}{c}\0{t}\0{i or 0}\0{p}\0{o}".encode() for c, t, i, p, o in places)
    drawn = b"".join(blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(drawn, "<u8")


def own(facts: pa.Table) -> Mask:
    """Answers that a trained adapter wrote: known from the digest on the event, not guessed from text."""
    return ~null(facts["adapter_digest"]) & null(facts["label"])


def too_derived(facts: pa.Table, generations: Mapping[str, int], deepest: int) -> Mask:
    """Own answers of an adapter that is itself trained on too many generations of own answers.

    `generations` counts them by adapter: 1 for one trained on a base model's answers alone. One that is not
    known counts as 1.
    """
    found = {
        digest: generations.get(digest, 1) > deepest for digest in _values(facts, "adapter_digest")
    }
    deep = [found.get(digest, False) for digest in facts["adapter_digest"].to_pylist()]
    return own(facts) & np.array(deep, np.bool_)


def generation(facts: pa.Table, kept: Mask, generations: Mapping[str, int]) -> int:
    """The greatest number of generations that a kept answer stands on; 0 where none is own output."""
    digests = facts["adapter_digest"].filter(pa.array(own(facts) & kept)).unique().to_pylist()
    return max((generations.get(digest, 1) for digest in digests), default=0)


def apply_caps(facts: pa.Table, recipe: Recipe, fates: Fates) -> None:
    """Leave out what is above the recipe's shares and counts, until no limit is broken any more.

    What one cap takes makes the shares of the others larger: they are applied in turn, again and again. The
    size of the whole comes last, and the shares once more.
    """
    ranks = drawn(facts, recipe.seed, "cap")
    limits = [("own_output", own(facts), recipe.max_own_share, None), *_limits(facts, recipe)]
    everyone = np.ones(len(ranks), np.bool_)
    for most in (None, recipe.max_examples):
        fates.drop(surplus(everyone, fates.kept, ranks, None, most), "over_max_examples")
        _settle(limits, ranks, fates)


def _limits(facts: pa.Table, recipe: Recipe) -> Iterator[_Limit]:
    for cap in recipe.caps:
        column = np.array(facts[cap.by].to_pylist(), dtype=object)
        for value in [cap.value] if cap.value is not None else _values(facts, cap.by):
            yield f"{cap.by}_cap", column == value, cap.share, cap.count


def _settle(limits: Sequence[_Limit], ranks: Ranks, fates: Fates) -> None:
    left = -1
    while left != (left := int(fates.kept.sum())):
        for reason, members, share, count in limits:
            fates.drop(surplus(members, fates.kept, ranks, share, count), reason)


def surplus(
    members: Mask, kept: Mask, ranks: Ranks, share: float | None, count: int | None
) -> Mask:
    """Of the members that are kept those beyond `share` of what would remain, or beyond `count`."""
    places = np.flatnonzero(members & kept)
    others = int(kept.sum()) - len(places)
    allowed = len(places) if count is None else min(count, len(places))
    if share is not None and share < 1:
        allowed = min(allowed, math.floor(others * share / (1 - share) + 1e-9))
    order = places[np.argsort(ranks[places], kind="stable")]
    over = np.zeros(len(kept), np.bool_)
    over[order[allowed:]] = True
    return over


def _values(facts: pa.Table, name: str) -> Iterable[str]:
    return sorted(value for value in set(facts[name].to_pylist()) if value is not None)
