"""The seal: one pure function from (rows up to stated offsets, recipe, golden cases) to a dataset."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from processors.curation.seal.candidates import CORRECTION, Candidate, select
from processors.curation.seal.duplicates import (
    conversation_prompt,
    drop_duplicates,
)
from processors.curation.seal.guard import cap_own_output, drop_outliers
from processors.curation.seal.split import groups_of, split
from schemas.datasets import Example, GoldenCase, Recipe, Split
from schemas.digests import digest_of
from schemas.rows import Row

_TRUSTED_ROLES = ("expert", "reviewer")
_TRUSTED = ("verified", "internal")
_GOLDEN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Sealed:
    """The content of a dataset and why it is what it is."""

    examples: tuple[Example, ...]
    dropped: dict[str, int]
    digest: str

    def count(self, part: Split) -> int:
        """How many examples a split has."""
        return sum(example.split is part for example in self.examples)


def seal(
    rows: Iterable[Row],
    recipe: Recipe,
    offsets: Mapping[str, int],
    golden: Sequence[GoldenCase] = (),
) -> Sealed:
    """Seal a window. The digest covers the recipe and the canonical content of every example."""
    candidates, dropped = select(rows, recipe, offsets)
    candidates = _without_golden(candidates, golden, dropped)
    forbidden = [conversation_prompt(case.messages) for case in golden]
    candidates = drop_duplicates(candidates, recipe.near_duplicate, dropped, forbidden=forbidden)
    candidates = drop_outliers(candidates, recipe.max_outlier_score, recipe.seed, dropped)
    candidates = cap_own_output(candidates, recipe.max_own_share, recipe.seed, dropped)
    candidates = _cap(candidates, recipe, dropped)
    parts = split(candidates, recipe)
    examples = tuple(map(_example, candidates, parts))
    digest = digest_of(
        {
            "recipe": recipe.model_dump(mode="json"),
            "examples": [example.content() for example in examples],
        }
    )
    return Sealed(examples, dict(sorted(dropped.items())), digest)


def choose_golden(
    rows: Iterable[Row], recipe: Recipe, offsets: Mapping[str, int]
) -> list[GoldenCase]:
    """A model's first golden set: trusted examples of the window, never more than a fifth of it.

    Trusted are corrections by experts and reviewers, and accepted runs of trusted sources. The choice
    is a seeded hash over groups that training will lose as a whole (a session, a user, a task), so
    the set resembles the traffic; groups larger than what is left of the fifth are passed over.
    """
    candidates, dropped = select(rows, recipe, offsets)
    distinct = drop_duplicates(candidates, recipe.near_duplicate, dropped)
    chosen = _choose(distinct, recipe)
    return [
        GoldenCase(
            case_id=c.row.row_id,
            task=c.row.task or c.row.row_id,
            prompt_digest=c.row.prompt_digest or "",
            session=c.row.session,
            user=c.row.user,
            messages=list(c.messages[:-1]),
            tools=list(c.tools),
            expected=c.messages[-1],
            grader="tool_call" if c.messages[-1].get("tool_calls") else "exact",
        )
        for c in sorted(chosen, key=lambda c: c.key)
    ]


def _choose(distinct: Sequence[Candidate], recipe: Recipe) -> list[Candidate]:
    members: dict[int, list[Candidate]] = defaultdict(list)
    for candidate, root in zip(distinct, groups_of(distinct), strict=True):
        members[root].append(candidate)
    room = int(len(distinct) * _GOLDEN_SHARE)
    chosen: list[Candidate] = []

    def rank(candidate: Candidate) -> str:
        return digest_of(["golden", recipe.seed, candidate.row.row_id])

    for group in sorted(members.values(), key=lambda group: min(map(rank, group))):
        usable = [c for c in group if _trusted(c) and len(_answers(c)) == 1]
        if usable and len(group) <= room and len(chosen) < recipe.golden_size:
            room -= len(group)
            chosen += sorted(usable, key=rank)[: recipe.golden_size - len(chosen)]
    return chosen


def _answers(candidate: Candidate) -> list[dict[str, object]]:
    return [turn for turn in candidate.messages if turn["role"] == "assistant"]


def _trusted(candidate: Candidate) -> bool:
    if candidate.kind == CORRECTION:
        return candidate.label_row is not None and candidate.label_row.author_role in _TRUSTED_ROLES
    return candidate.row.trust in _TRUSTED


def _without_golden(
    candidates: Sequence[Candidate], golden: Sequence[GoldenCase], dropped: Counter[str]
) -> list[Candidate]:
    taken = {
        "row_id": {case.case_id for case in golden},
        "task": {case.task for case in golden},
        "prompt_digest": {case.prompt_digest for case in golden},
        "session": {case.session for case in golden if case.session},
        "user": {case.user for case in golden if case.user},
    }
    kept = [
        c
        for c in candidates
        if not any(getattr(c.row, name) in values for name, values in taken.items())
    ]
    if len(kept) < len(candidates):
        dropped["golden"] += len(candidates) - len(kept)
    return kept


def _cap(candidates: Sequence[Candidate], recipe: Recipe, dropped: Counter[str]) -> list[Candidate]:
    if len(candidates) <= recipe.max_examples:
        return list(candidates)
    ranked = sorted(candidates, key=lambda c: digest_of(["cap", recipe.seed, c.row.row_id]))
    dropped["over_max_examples"] += len(candidates) - recipe.max_examples
    return sorted(ranked[: recipe.max_examples], key=lambda c: c.key)


def _example(candidate: Candidate, part: Split) -> Example:
    row, label = candidate.row, candidate.label_row
    return Example(
        row_id=row.row_id,
        label_row=label.row_id if label else None,
        split=part,
        weight=candidate.weight,
        messages=candidate.messages,
        tools=candidate.tools,
        prompt_digest=row.prompt_digest or "",
        task=row.task or row.row_id,
        session=row.session,
        user=row.user,
        domain=row.domain,
        task_type=row.task_type,
        kind=candidate.kind,
        adapter_digest=row.adapter_digest,
        quality=row.quality or 0.0,
    )
