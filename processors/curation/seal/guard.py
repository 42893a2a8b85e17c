"""What would spoil a dataset: outliers, and too much of the model's own output."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from processors.curation.seal.candidates import RUN, Candidate
from processors.curation.seal.duplicates import prompt_text
from schemas.chat import answer_text
from schemas.digests import digest_of

_ENOUGH = 100


def drop_outliers(
    candidates: Sequence[Candidate], limit: float, seed: int, dropped: Counter[str]
) -> list[Candidate]:
    """Leave out what an Isolation Forest (Liu, Ting, Zhou 2008) scores above `limit`.

    The anomaly score is in 0–1, about 0.5 for an ordinary point. Active above 100 candidates. The
    features are canonical and the trees take them in canonical order, so the result does not depend
    on threads or processes.
    """
    if len(candidates) <= _ENOUGH:
        return list(candidates)
    from sklearn.ensemble import IsolationForest  # noqa: PLC0415 - heavy, used here only

    features = np.array([_features(candidate) for candidate in candidates])
    forest = IsolationForest(
        n_estimators=100, max_samples=min(256, len(candidates)), random_state=seed, n_jobs=1
    )
    scores = -forest.fit(features).score_samples(features)
    kept = [c for c, score in zip(candidates, scores, strict=True) if round(score, 6) <= limit]
    dropped["outlier"] += len(candidates) - len(kept)
    return kept


def _features(candidate: Candidate) -> list[float]:
    """Sizes on a log scale, and what the row says of the run."""
    answers = [turn for turn in candidate.messages if turn["role"] == "assistant"]
    calls = [call for turn in answers for call in turn.get("tool_calls") or ()]
    return [
        math.log1p(len(prompt_text(candidate))),
        math.log1p(sum(len(answer_text(turn)) for turn in answers)),
        math.log1p(len(candidate.messages)),
        float(len(calls)),
        math.log1p(len(candidate.tools)),
        candidate.row.quality or 0.0,
        candidate.weight,
    ]


def cap_own_output(
    candidates: Sequence[Candidate], share: float, seed: int, dropped: Counter[str]
) -> list[Candidate]:
    """At most `share` of the dataset may be answers that a trained adapter wrote itself.

    Known from the adapter digest on the event, not guessed from the text. Which ones stay is decided
    by a seeded hash of their row.
    """
    own = [c for c in candidates if _own(c)]
    others = len(candidates) - len(own)
    allowed = len(own) if share >= 1 else math.floor(others * share / (1 - share))
    if len(own) <= allowed:
        return list(candidates)
    chosen = sorted(own, key=lambda c: digest_of([seed, c.row.row_id]))[:allowed]
    keep = {c.row.row_id for c in chosen}
    dropped["own_output"] += len(own) - allowed
    return [c for c in candidates if not _own(c) or c.row.row_id in keep]


def _own(candidate: Candidate) -> bool:
    return candidate.kind == RUN and candidate.row.adapter_digest is not None
