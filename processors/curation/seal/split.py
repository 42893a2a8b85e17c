"""A leak-proof split: a session, a user, a task and a duplicate cluster never cross it.

Groups are taken in the order of a seeded hash and go where their stratum (domain × kind) lacks most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from processors.curation.seal.candidates import Candidate
from processors.curation.seal.groups import Groups
from schemas.datasets import Recipe, Split
from schemas.digests import digest_of


def split(candidates: Sequence[Candidate], recipe: Recipe) -> list[Split]:
    """The split of each candidate, in the given (canonical) order."""
    groups = groups_of(candidates)
    names = {root: digest_of([recipe.seed, candidates[root].row.row_id]) for root in set(groups)}
    members: dict[int, list[int]] = defaultdict(list)
    for index, root in enumerate(groups):
        members[root].append(index)
    shares = {
        Split.TRAIN: 1 - recipe.validation_share - recipe.test_share,
        Split.VALIDATION: recipe.validation_share,
        Split.TEST: recipe.test_share,
    }
    filled: dict[tuple[str, Split], int] = defaultdict(int)
    result = [Split.TRAIN] * len(candidates)
    for root in sorted(members, key=names.__getitem__):
        stratum = _stratum(candidates[root])
        total = sum(filled[stratum, part] for part in Split) + len(members[root])
        lacking = {p: shares[p] * total - filled[stratum, p] for p in Split}
        part = max(lacking, key=lacking.__getitem__)
        filled[stratum, part] += len(members[root])
        for index in members[root]:
            result[index] = part
    return result


def _stratum(candidate: Candidate) -> str:
    return f"{candidate.row.domain}/{candidate.kind}"


def groups_of(candidates: Sequence[Candidate]) -> list[int]:
    """The group of each candidate, named by the index of one of its members."""
    groups = Groups(len(candidates))
    first: dict[tuple[str, object], int] = {}
    for index, candidate in enumerate(candidates):
        row = candidate.row
        for name, value in (
            ("session", row.session),
            ("user", row.user),
            ("task", row.task),
            ("cluster", candidate.cluster),
        ):
            if value is not None:
                groups.join(index, first.setdefault((name, value), index))
    return [groups.root(index) for index in range(len(candidates))]
