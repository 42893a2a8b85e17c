"""Exact and near duplicates of prompts.

Near: Jaccard similarity of word 3-grams at or above a threshold. MinHash LSH (rensa) proposes pairs,
the exact similarity decides, so there are no false ones. Greedy in order of preference: a candidate
that resembles one already kept is dropped. Clusters join everything that resembles anything, kept or
not, so that the split can keep relatives together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from processors.curation.seal.candidates import Candidate, with_cluster
from processors.curation.seal.groups import Groups
from schemas.chat import first_answer

_PERMUTATIONS = 128
_BANDS = 32
_SEED = 20_260_101
_KEPT = "kept"


def drop_duplicates(
    candidates: Sequence[Candidate],
    threshold: float,
    dropped: Counter[str],
    *,
    forbidden: Sequence[str] = (),
) -> list[Candidate]:
    """Candidates with distinct prompts, in canonical order, each told its cluster.

    `forbidden` are prompts (golden cases) that nothing may resemble.
    """
    ranked = sorted(candidates, key=lambda candidate: candidate.rank)
    prompts = [prompt_text(candidate) for candidate in ranked]
    numbers = {text: n for n, text in enumerate(dict.fromkeys([*forbidden, *prompts]))}
    neighbours = similar_pairs(list(numbers), threshold)
    fates = _fates(neighbours, len(set(forbidden)))
    clusters = _clusters(neighbours)
    chosen: list[Candidate] = []
    for candidate, number in zip(ranked, map(numbers.__getitem__, prompts), strict=True):
        if fates[number] == _KEPT:
            chosen.append(with_cluster(candidate, clusters.root(number)))
            fates[number] = "exact_duplicate"
        else:
            dropped[fates[number]] += 1
    return sorted(chosen, key=lambda candidate: candidate.key)


def _clusters(neighbours: Sequence[Sequence[int]]) -> Groups:
    clusters = Groups(len(neighbours))
    for number, others in enumerate(neighbours):
        for other in others:
            clusters.join(number, other)
    return clusters


def _fates(neighbours: Sequence[Sequence[int]], golden: int) -> list[str]:
    """What becomes of each distinct text: the first `golden` stay, others give way to those before."""
    fates = ["golden"] * golden
    for number in range(golden, len(neighbours)):
        before = [other for other in neighbours[number] if other < number]
        if any(other < golden for other in before):
            fates.append("golden")
        elif any(fates[other] == _KEPT for other in before):
            fates.append("near_duplicate")
        else:
            fates.append(_KEPT)
    return fates


def prompt_text(candidate: Candidate) -> str:
    """What was asked, white space folded, lower case."""
    return conversation_prompt(candidate.messages)


def conversation_prompt(messages: Sequence[dict[str, object]]) -> str:
    """What the user said before the first answer, folded.

    Not the system prompt: all runs of an agent share it, and a long one would make them all look
    alike. It is the prompt only where no user spoke.
    """
    asked = messages[: first_answer(messages)]
    said = [turn for turn in asked if turn["role"] == "user"] or asked
    return " ".join(word for turn in said for word in str(turn["content"]).lower().split())


def shingles(text: str) -> frozenset[str]:
    """Word 3-grams; a shorter text is one shingle."""
    words = text.split()
    if len(words) < 3:  # noqa: PLR2004 - the n of the n-gram
        return frozenset({text})
    return frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))


def similar_pairs(texts: Sequence[str], threshold: float) -> list[list[int]]:
    """For each of distinct texts the others whose Jaccard similarity is at or above `threshold`."""
    from rensa import RMinHash, RMinHashLSH  # noqa: PLC0415 - heavy, used here only

    grams = [shingles(text) for text in texts]
    index = RMinHashLSH(threshold=threshold, num_perm=_PERMUTATIONS, num_bands=_BANDS)
    hashes = []
    for number, gram in enumerate(grams):
        signature = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        signature.update(sorted(gram))
        index.insert(number, signature)
        hashes.append(signature)
    return [
        sorted(
            other
            for other in index.query(signature)
            if other != number and _jaccard(grams[number], grams[other]) >= threshold
        )
        for number, signature in enumerate(hashes)
    ]


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)
