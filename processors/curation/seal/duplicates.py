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

_PERMUTATIONS = 128
_BANDS = 32
_SEED = 20_260_101


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
    texts = [*forbidden, *(prompt_text(candidate) for candidate in ranked)]
    neighbours = similar_pairs(texts, threshold)
    clusters = Groups(len(texts))
    kept = set(range(len(forbidden)))
    for index in range(len(texts)):
        for other in neighbours[index]:
            clusters.join(index, other)
        if index < len(forbidden):
            continue
        before = [other for other in neighbours[index] if other in kept and other < index]
        if any(other < len(forbidden) for other in before):
            dropped["golden"] += 1
        elif before:
            same = any(texts[other] == texts[index] for other in before)
            dropped["exact_duplicate" if same else "near_duplicate"] += 1
        else:
            kept.add(index)
    chosen = [
        with_cluster(candidate, clusters.root(index))
        for index, candidate in enumerate(ranked, start=len(forbidden))
        if index in kept
    ]
    return sorted(chosen, key=lambda candidate: candidate.key)


def prompt_text(candidate: Candidate) -> str:
    """What was asked: the text before the first answer, white space folded, lower case."""
    return conversation_prompt(candidate.messages)


def conversation_prompt(messages: Sequence[dict[str, object]]) -> str:
    """The text before the first assistant turn, folded."""
    words: list[str] = []
    for message in messages:
        if message["role"] == "assistant":
            break
        words += str(message["content"]).lower().split()
    return " ".join(words)


def shingles(text: str) -> frozenset[str]:
    """Word 3-grams; a shorter text is one shingle."""
    words = text.split()
    if len(words) < 3:  # noqa: PLR2004 - the n of the n-gram
        return frozenset({text})
    return frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))


def similar_pairs(texts: Sequence[str], threshold: float) -> list[list[int]]:
    """For each text the others whose Jaccard similarity is at or above `threshold`."""
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
