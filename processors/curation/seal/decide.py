"""The seal's decisions: from the survey of a window to its dataset, in columns. Nothing here sees a text.

The order is: window, erasures, difficulty, feedback, thresholds, golden cases, duplicates, generations of own
output, outliers, composite score, size, caps, balance, split, pairs. See docs/adr/0015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.seal import caps, selection
from processors.curation.seal.balance import cell_weights
from processors.curation.seal.components import cells, codes, groups, owners
from processors.curation.seal.composite import Composite, composite
from processors.curation.seal.fates import Fates, Mask
from processors.curation.seal.feedback import FeedbackIndex
from processors.curation.seal.greedy import Fate
from processors.curation.seal.hardness import Hardness, hardness
from processors.curation.seal.jaccard import Read
from processors.curation.seal.leakproof import Parts, leakproof_split
from processors.curation.seal.minhash import RensaLsh, Signatures
from processors.curation.seal.near import Sketches, find_duplicates
from processors.curation.seal.outliers import anomaly
from processors.curation.seal.pairs import Pairs, preference_pairs
from processors.curation.seal.reserve import forbidden, reserved
from processors.curation.seal.verdicts import judged_quality
from processors.curation.seal.window import erased, repeated, start, too_old
from schemas.datasets import GoldenCase, Recipe
from schemas.events import EXECUTION

Array: TypeAlias = np.ndarray[Any, Any]
NO_PART = 255
_DUPLICATE = {
    Fate.EXACT_DUPLICATE: "exact_duplicate",
    Fate.NEAR_DUPLICATE: "near_duplicate",
    Fate.GOLDEN: "golden",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window as it was surveyed: columns of one length, in canonical order.

    `facts` is what `survey` gives; `sketches` those of the prompts; `read` gives the prompts of rows.
    `subjects` are the erasures (tenant, subject as JSON); `golden` the model's golden cases;
    `generations` how many generations of own output each adapter stands on.
    """

    facts: pa.Table
    sketches: Sketches
    read: Read
    feedback: FeedbackIndex
    subjects: Sequence[tuple[str | None, str]] = ()
    golden: Sequence[GoldenCase] = ()
    generations: Mapping[str, int] | None = None


class Judged(NamedTuple):
    """A window up to its duplicates: which rows may be sealed, which may stand in a pair, and as its better
    side: what no rule refused but that it came twice.
    """

    facts: pa.Table
    fates: Fates
    hardness: Hardness
    usable: Mask
    good: Mask
    clusters: Array
    weights: Array
    crowded: int


class Decision(NamedTuple):
    """What becomes of each row of a window.

    `facts` has the joined quality; `parts` is 0 train, 1 validation, 2 test, or NO_PART; `weights` those of
    the loss; `clusters` the first row of each near-duplicate cluster; `pair_parts` the part of each pair;
    `crowded` texts were not compared with all that resembled them; `generation` counts the generations of
    own output under it.
    """

    facts: pa.Table
    fates: Fates
    hardness: Hardness
    scores: Composite
    parts: Array
    weights: Array
    clusters: Array
    pairs: Pairs
    pair_parts: Array
    split: Parts
    crowded: int
    generation: int


def decide(window: Window, recipe: Recipe) -> Decision:
    """Decide a window. The same rows and recipe give the same decision, however they were read."""
    judged = judge(window, recipe)
    facts, fates = judged.facts, judged.fates
    generations, single = window.generations or {}, fates.kept
    deep = caps.too_derived(facts, generations, recipe.max_generation)
    fates.drop(deep, "too_derived")
    scores = _score(judged, window.sketches.signatures, recipe)
    refused = deep | (single & ~fates.kept)
    caps.apply_caps(facts, recipe, fates)
    weights = _balanced(judged, recipe)
    pairs = _pairs(judged, refused, recipe)
    parts, split = _split(judged, pairs, recipe)
    pairs = pairs.take(parts[pairs.chosen] != NO_PART)
    learned = fates.kept
    learned[pairs.chosen] = True
    return Decision(
        facts,
        fates,
        judged.hardness,
        scores,
        np.where(fates.kept, parts, NO_PART).astype(np.uint8),
        weights,
        judged.clusters,
        pairs,
        parts[pairs.chosen],
        split,
        judged.crowded,
        caps.generation(facts, learned, generations),
    )


def judge(window: Window, recipe: Recipe) -> Judged:
    """Which rows of a window may be sealed, before the population is looked at as a whole."""
    facts, fates = window.facts, Fates(window.facts.num_rows)
    fates.drop(too_old(facts, start(facts, recipe)), "outside_window")
    fates.drop(erased(facts, window.subjects), "erased")
    fates.drop(repeated(facts, fates.kept), "duplicate_across_partitions")
    hard = hardness(facts, fates.kept)
    quality = pa.array(
        judged_quality(facts, fates.kept, window.feedback, hard.score), from_pandas=True
    )
    facts = facts.set_column(facts.schema.get_field_index("quality"), "quality", quality)
    usable = selection.usable(facts, fates.kept)
    selection.select(facts, recipe, fates)
    held = reserved(facts, window.golden)
    fates.drop(held, "golden")
    good = fates.kept
    weights = selection.weights(facts)
    clusters, crowded, golden = _duplicates(window, facts, fates, usable & ~held, weights, recipe)
    return Judged(
        facts,
        fates,
        hard,
        usable & ~held & ~golden,
        good & ~golden,
        clusters,
        weights,
        crowded,
    )


def _duplicates(
    window: Window, facts: pa.Table, fates: Fates, usable: Mask, weights: Array, recipe: Recipe
) -> tuple[Array, int, Mask]:
    """Drop duplicates; the cluster of each row, the crowded texts, what resembles a golden case.

    Rows that may only stand in a pair come last: they take nobody's place, but belong to a cluster.
    """
    rows = np.flatnonzero(fates.kept | usable)
    order = _preference(facts, fates.kept, weights)[rows]
    found = find_duplicates(
        window.sketches.take(rows),
        order,
        lambda places: window.read(rows[places]),
        RensaLsh(recipe.near_duplicate),
        forbidden(window.golden),
    )
    fate = np.zeros(len(fates.kept), np.uint8)
    fate[rows] = found.fates
    for value, reason in _DUPLICATE.items():
        fates.drop(fate == value, reason)
    clusters = np.arange(len(fate))
    clusters[rows] = rows[found.clusters]
    return clusters, found.crowded, fate == Fate.GOLDEN


def _preference(facts: pa.Table, kept: Mask, weights: Array) -> Array:
    """Of two that are alike the lower stays: a correction, a run before a plan, the heavier, the better, the
    earlier one.
    """
    quality = np.nan_to_num(selection.numbers(facts["quality"]), nan=-1.0)
    planned = ~selection.equal(facts["type"], EXECUTION)
    keys = (-quality, -weights, planned, ~selection.mended(facts), ~kept)
    ranks = np.empty(len(kept), np.int64)
    ranks[np.lexsort(keys)] = np.arange(len(kept))
    return ranks


def _score(judged: Judged, signatures: Signatures, recipe: Recipe) -> Composite:
    """Leave the odd and the poor to a person, but for what a person has decided already."""
    facts, fates = judged.facts, judged.fates
    open_ = selection.undecided(facts)
    strange = anomaly(facts, fates.kept, recipe.seed)
    fates.drop(open_ & (strange > recipe.max_outlier_score), "outlier")
    ranks = caps.drawn(facts, recipe.seed, "diversity")
    scores = composite(facts, fates.kept, signatures, ranks, RensaLsh(recipe.near_duplicate))
    fates.drop(open_ & (scores.score < recipe.min_score), "low_score")
    return scores


def _pairs(judged: Judged, refused: Mask, recipe: Recipe) -> Pairs:
    """Preference pairs whose better sides would do as examples, and among themselves hold the caps."""
    facts, good = judged.facts, judged.good & ~refused
    found = preference_pairs(facts, judged.usable, good, recipe.min_margin, recipe.max_pairs)
    better = np.zeros(facts.num_rows, np.bool_)
    better[found.chosen] = True
    held = Fates(facts.num_rows)
    held.drop(~better, "no_better_side")
    caps.apply_caps(facts, recipe, held)
    return found.take(held.kept[found.chosen])


def _balanced(judged: Judged, recipe: Recipe) -> Array:
    """Weights of the loss: what people gave, and what the size of a row's cell leaves."""
    kept = judged.fates.kept
    weights = judged.weights.copy()
    weights[kept] *= cell_weights(_cells(judged, kept), recipe.balance)
    return np.round(weights, 6)


def _cells(judged: Judged, rows: Mask) -> Array:
    chosen = pa.array(rows)
    columns = (judged.facts["domain"], judged.hardness.level)
    return cells([column.filter(chosen) for column in columns])[0]


def _split(judged: Judged, pairs: Pairs, recipe: Recipe) -> tuple[Array, Parts]:
    """The part of each row's group, NO_PART where no example is in it; and the split itself.

    Rows of pairs belong to groups too: a worse answer must not come from a test user.
    """
    facts, kept = judged.facts, judged.fates.kept
    inside = kept.copy()
    inside[pairs.chosen] = inside[pairs.rejected] = True
    shared = {name: facts[name] for name in ("user", "session", "task", "prompt_digest")}
    columns = (*map(codes, shared.values()), judged.clusters)
    roots = groups([np.where(inside, column, -1) for column in columns])
    names = owners(shared, caps.drawn(facts, recipe.seed, "split"))
    shares = (
        1 - recipe.validation_share - recipe.test_share,
        recipe.validation_share,
        recipe.test_share,
    )
    members = np.unique(roots[kept], return_inverse=True)[1]
    split = leakproof_split(members, _cells(judged, kept), names[kept], shares, recipe.seed)
    by_root = np.full(len(kept), NO_PART, np.uint8)
    by_root[roots[kept]] = split.parts
    return by_root[roots], split
