"""Why a decided window would be of no use as a dataset, with the figures."""

from __future__ import annotations

from collections.abc import Mapping

from processors.curation.seal.decide import Decision
from schemas.datasets import Recipe
from schemas.errors import Code

_OWN, _DOMAIN = "own_output", "domain_cap"


def refusal(decision: Decision, recipe: Recipe) -> tuple[Code, str] | None:
    """A code and one line, or nothing. What a cap took is named as the cause if it would have been enough."""
    found, counts = int(decision.fates.kept.sum()), decision.fates.counts()
    if found >= recipe.min_examples:
        complaint = decision.split.complaint()
        return None if complaint is None else (Code.DATASET_UNSPLIT, complaint)
    line = f"{found:,} of {recipe.min_examples:,}; left out: {_said(counts)}"
    for reason, code in ((_OWN, Code.DATASET_OWN_OUTPUT), (_DOMAIN, Code.DATASET_ONE_SIDED)):
        if found + counts.get(reason, 0) >= recipe.min_examples:
            return code, line
    return Code.DATASET_TOO_SMALL, line


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items()) or "none"
