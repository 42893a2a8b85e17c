"""Fitting a domain model from texts whose domain is declared. Deterministic by its seed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from processors.curation.domains.grams import BUCKETS, grams
from processors.curation.domains.model import LEVELS, UNIT, DomainModel, Floats, best, standardised
from schemas.digests import sha256_hex

FOLDS = 5
_SHRINK = 10.0
"""Texts of all domains together that speak for each domain's mean and deviation beside its own."""
Places = np.ndarray[Any, np.dtype[np.int64]]


def fit(
    texts: Sequence[str],
    labels: Sequence[str],
    tasks: Sequence[str],
    seed: int,
    trained: Mapping[str, Any] | None = None,
) -> DomainModel:
    """A model of the domains in `labels`, at least two; a domain's tasks are never split over folds.

    Margins of held-out texts set what counts as unknown: five times a linear support vector machine is
    fitted without a fifth of every domain's tasks. The one that is kept is fitted on all texts. The order
    of the texts counts, as in any descent: bring them in a canonical one. Raises ValueError for less
    than two domains, or for one of a single task.
    """
    names = tuple(sorted(set(labels)))
    folds = _folds(labels, tasks, seed)
    if len(names) < 2:  # noqa: PLR2004 - one domain has nothing to be told apart from
        raise ValueError("fewer than two domains")
    number = {name: place for place, name in enumerate(names)}
    truth = np.array([number[label] for label in labels])
    matrix = _matrix(texts)
    guess, margin = np.empty(len(truth), np.int64), np.empty(len(truth))
    for fold in range(FOLDS):
        out = folds == fold
        frequency, planes = _planes(matrix[~out], truth[~out], len(names), seed)
        guess[out], margin[out] = best(_scaled(matrix[out], frequency) @ planes)
    right = guess == truth
    if not right.any():
        right[:] = True
    centre, spread = _spreads(truth[right], margin[right], len(names))
    typical = standardised(truth[right], margin[right], centre, spread)
    frequency, planes = _planes(matrix, truth, len(names), seed)
    return DomainModel(
        labels=names,
        weights=_whole(frequency[:, None] * planes),
        lengths=_whole(frequency * frequency),
        centre=centre,
        spread=spread,
        levels=_levels(typical, truth[right]),
        trained=dict(trained or {}),
    )


def _matrix(texts: Sequence[str]) -> Any:
    """Which text has which gram: a sparse (texts, BUCKETS) matrix of ones."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - heavy

    buckets, starts = grams(texts)
    return csr_matrix((np.ones(len(buckets)), buckets, starts), shape=(len(texts), BUCKETS))


def _folds(labels: Sequence[str], tasks: Sequence[str], seed: int) -> Places:
    """The fold of each text: every domain's tasks in the order of a seeded hash, dealt out."""
    known: dict[str, set[str]] = defaultdict(set)
    for label, task in zip(labels, tasks, strict=True):
        known[label].add(task)
    if min(map(len, known.values())) < 2:  # noqa: PLR2004 - a fold must not take all of a domain
        raise ValueError("a domain of a single task")
    fold = {
        (label, task): place % FOLDS
        for label, found in known.items()
        for place, task in enumerate(
            sorted(found, key=lambda task: sha256_hex(f"{seed}|{task}".encode()))
        )
    }
    return np.array([fold[pair] for pair in zip(labels, tasks, strict=True)])


def _planes(matrix: Any, truth: Places, count: int, seed: int) -> tuple[Floats, Floats]:
    """Inverse document frequencies (BUCKETS,), and a hyperplane through 0 a domain: (BUCKETS, count)."""
    from sklearn.svm import LinearSVC  # noqa: PLC0415 - heavy, used here only

    texts = matrix.shape[0]
    having = np.bincount(matrix.indices, minlength=BUCKETS)
    frequency: Floats = np.log((1 + texts) / (1 + having)) + 1
    machine = LinearSVC(
        class_weight="balanced",
        fit_intercept=False,
        dual=True,
        random_state=seed,
        max_iter=10_000,
    )
    machine.fit(_scaled(matrix, frequency), truth)
    planes = machine.coef_ if count > 2 else np.vstack([-machine.coef_, machine.coef_])  # noqa: PLR2004
    return frequency, planes.T


def _scaled(matrix: Any, frequency: Floats) -> Any:
    """Each text's grams weighted by their frequency, its length made 1."""
    weighted = matrix.multiply(frequency).tocsr()
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return weighted.multiply(1 / length[:, None]).tocsr()


def _spreads(truth: Places, margin: Floats, count: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation a domain, drawn towards those of all where texts are few."""
    size = np.bincount(truth, minlength=count) + _SHRINK
    total = np.bincount(truth, margin, count) + _SHRINK * margin.mean()
    centre: Floats = total / size
    square = np.bincount(truth, (margin - centre[truth]) ** 2, count) + _SHRINK * margin.var()
    return centre, np.maximum(np.sqrt(square / size), 1e-6)


def _levels(typical: Floats, truth: Places) -> Floats:
    """Quantiles in which every domain has the same say, however many texts it has."""
    order = np.argsort(typical, kind="stable")
    shares = (1 / np.maximum(np.bincount(truth), 1))[truth][order]
    reached = np.cumsum(shares) / math.fsum(shares)
    wanted = np.arange(LEVELS) / LEVELS
    places = np.minimum(np.searchsorted(reached, wanted), len(order) - 1)
    found: Floats = typical[order][places]
    return found


def _whole(values: Floats) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.rint(values * UNIT).astype(np.int32)
