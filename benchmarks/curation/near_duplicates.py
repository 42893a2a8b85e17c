"""Near duplicates: found, not found, wrongly found, and how fast."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from itertools import combinations
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.curation.real_texts import (
    Corpus,
    as_they_are,
    person_records,
    site_records,
    spliced,
)
from benchmarks.curation.section import Line, Section
from processors.curation.seal.conversation import fold
from processors.curation.seal.greedy import Fate
from processors.curation.seal.minhash import RensaLsh
from processors.curation.seal.near import Duplicates, find_duplicates, sketch
from tests.leaks import alike_across
from tests.processors.alike import jaccard

COUNT, CROWDED, SEED, RUNS = 100_000, 20_000, 7, 3
_THRESHOLD, _RATE = 0.8, 30_000
Say = Callable[[str], None]


class Trial(NamedTuple):
    """A corpus, what was found in it in how many CPU seconds, and what should be."""

    corpus: Corpus
    found: Duplicates
    seconds: float
    pairs: list[tuple[int, int, float]]


def measure(data: Path, say: Say, count: int = COUNT, crowd: int = CROWDED) -> Section:
    """Recall and false finds against similarities computed pair by pair, and CPU time a text."""
    say(f"near-duplicates: {count:,} texts, a tenth of them altered copies")
    trial = _trial(spliced(data, count, SEED))
    say(f"near-duplicates: {crowd:,} pieces of traces as they are")
    crowded = _trial(as_they_are(data, crowd, SEED))
    lines = [
        *_found(trial, f"{count:,} texts"),
        Line(
            f"{count:,} texts: speed, one core (CPU time, folding included)",
            f"≥ {_RATE:,} texts/s",
            f"{count / trial.seconds:,.0f} texts/s",
            count / trial.seconds >= _RATE,
        ),
        *_found(crowded, f"{crowd:,} pieces of traces"),
        Line(
            f"{crowd:,} pieces of traces: speed",
            "none",
            f"{crowd / crowded.seconds:,.0f} texts/s",
            None,
        ),
        *_records("FEBRL persons", *person_records(data)),
        *_records("child-care sites", *site_records(data)),
    ]
    return Section("Near duplicates", lines, _text(trial, crowded))


def _trial(corpus: Corpus) -> Trial:
    seconds, found = _timed(corpus.texts)
    pairs = alike_across(corpus.texts, range(len(corpus.texts)), _THRESHOLD)
    return Trial(corpus, found, seconds, pairs)


def _found(trial: Trial, name: str) -> list[Line]:
    count = len(trial.corpus.texts)
    planted = [each for each in trial.corpus.planted if each[3] >= _THRESHOLD]
    wrong = _wrongly_dropped(trial.corpus.texts, trial.found)
    return [
        _at_least(f"{name}: altered copies at 0.8 or more found", _joined(trial, planted), 0.99),
        _at_least(f"{name}: all pairs at 0.8 or more found", _joined(trial, trial.pairs), 0.99),
        _at_most(f"{name}: kept although they resemble a kept one", _left(trial), count, 0.001),
        _at_most(f"{name}: dropped although they resemble no kept one", wrong, count, 0.001),
    ]


def _joined(trial: Trial, pairs: Iterable[tuple[Any, ...]]) -> list[bool]:
    """Whether both of a pair are in one cluster."""
    clusters = trial.found.clusters.tolist()
    return [clusters[pair[0]] == clusters[pair[1]] for pair in pairs]


def _left(trial: Trial) -> int:
    """Texts kept beside an earlier kept one that they resemble."""
    kept = (trial.found.fates == Fate.KEPT).tolist()
    return len({j for i, j, _ in trial.pairs if kept[i] and kept[j]})


def _timed(texts: Sequence[str]) -> tuple[float, Duplicates]:
    """Median CPU seconds of this process from the texts to the result."""
    _search(texts[:1_000])  # imports, tables
    spent = []
    for _ in range(RUNS):
        begin = time.process_time()
        found = _search([fold(text) for text in texts])
        spent.append(time.process_time() - begin)
    return statistics.median(spent), found


def _search(texts: Sequence[str], threshold: float = _THRESHOLD) -> Duplicates:
    engine = RensaLsh(threshold)

    def read(rows: Any) -> list[str]:
        return [texts[row] for row in rows.tolist()]

    ranks = np.zeros(len(texts), np.int64)
    return find_duplicates(sketch(texts, engine), ranks, read, engine)


def _wrongly_dropped(texts: Sequence[str], found: Duplicates) -> int:
    """Dropped for a text that they do not resemble, or that is not kept."""
    dropped = np.flatnonzero(found.fates != Fate.KEPT).tolist()
    return sum(
        bool(found.fates[found.kept[row]] != Fate.KEPT)
        or jaccard(texts[row], texts[found.kept[row]]) < _THRESHOLD
        for row in dropped
    )


def _records(name: str, texts: Sequence[str], owners: Sequence[str]) -> list[Line]:
    """Against true identities, which a similarity of words can only approach: no goal but that what
    brute force finds is found.
    """
    lines, true = [], _pairs_within(owners)
    for threshold in (0.8, 0.5):
        joined = _pairs_within(_search(texts, threshold).clusters.tolist())
        alike = [each[:2] for each in alike_across(texts, range(len(texts)), threshold)]
        missed = sum(pair not in joined for pair in alike)
        right = len(true & joined)
        lines.append(
            Line(
                f"{name}, {len(texts):,} records, threshold {threshold}: pairs brute force finds",
                "all",
                f"{len(alike) - missed:,} of {len(alike):,}; of {len(true):,} true pairs "
                f"{right / len(true):.1%} joined, {right / max(len(joined), 1):.1%} of the joined true",
                missed == 0,
            )
        )
    return lines


def _pairs_within(groups: Sequence[Any]) -> set[tuple[int, int]]:
    """All pairs of one group, by their places."""
    members: dict[Any, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        members[group].append(place)
    return {pair for held in members.values() for pair in combinations(held, 2)}


def _at_most(what: str, count: int, total: int, goal: float) -> Line:
    return Line(what, f"≤ {goal:.1%}", f"{count:,} of {total:,}", count / total <= goal)


def _at_least(what: str, hits: Sequence[bool], goal: float) -> Line:
    share = sum(hits) / len(hits)
    low, high = _wilson(sum(hits), len(hits))
    measured = f"{share:.4f} [{low:.4f}, {high:.4f}] of {len(hits):,}"
    return Line(what, f"≥ {goal}", measured, share >= goal)


def _wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z = 1.959964
    centre = (hits + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * sqrt(hits * (count - hits) / count + z * z / 4)
    return centre - half, min(centre + half, 1.0)


def _text(trial: Trial, crowded: Trial) -> str:
    texts = trial.corpus.texts
    words = statistics.mean(len(text.split()) for text in texts)
    sketches = sketch(texts[:1_000], RensaLsh(_THRESHOLD))
    columns = (sketches.digests, sketches.sizes, *sketches.signatures)
    size = sum(column.nbytes for column in columns) / 1_000
    dropped = float((crowded.found.fates != Fate.KEPT).mean())
    return "\n".join(
        [
            f"{len(texts):,} texts of {words:.0f} words on average, made of three fragments each of messages in",
            "MINT, InterCode, τ-bench, τ² and PlanBench, a tenth of them altered copies:",
            "",
            *_recipes(trial),
            "",
            f"True pairs: {len(trial.pairs):,}, found by an exact join that shares no code with the search (the",
            "rarest grams of each text are looked up, every hit is counted gram by gram). A copy below the",
            f"threshold may be joined through a third text. Nothing was tuned on these texts; seed {SEED}.",
            "",
            f"Traces as they are repeat themselves: of {len(crowded.corpus.texts):,} pieces {dropped:.0%} are near duplicates,",
            f"in {len(crowded.pairs):,} true pairs; {crowded.found.crowded:,} texts were kept without having been compared",
            "with all that was proposed.",
            "",
            f"Time: median of {RUNS} runs, {1e6 * trial.seconds / len(texts):.1f} µs of CPU a text ({1e6 * crowded.seconds / len(crowded.corpus.texts):.1f} in the traces), one process, one",
            f"thread: folding, signatures, search, exact decision. An example costs {size:.0f} bytes until the",
            f"search is over. rensa {version('rensa')}, numpy {version('numpy')}, scipy {version('scipy')}.",
        ]
    )


def _recipes(trial: Trial) -> list[str]:
    rows = [
        "| alteration | copies | true similarity | at 0.8 or more | of these found | below | of these not joined |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in sorted({each[2] for each in trial.corpus.planted}):
        mine = [each for each in trial.corpus.planted if each[2] == name]
        above = [each for each in mine if each[3] >= _THRESHOLD]
        below = [each for each in mine if each[3] < _THRESHOLD]
        caught, wrong = sum(_joined(trial, above)), sum(_joined(trial, below))
        span = f"{min(each[3] for each in mine):.2f}–{max(each[3] for each in mine):.2f}"
        rows.append(
            f"| {name} | {len(mine):,} | {span} | {len(above):,} | {caught:,} "
            f"| {len(below):,} | {len(below) - wrong:,} |"
        )
    return rows
