"""What judges' words do to the quality of runs: calibrated first, then joined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.judges import Judged, calibrate, judged
from processors.curation.score import joined_quality
from processors.curation.seal.fates import Mask
from processors.curation.seal.feedback import FeedbackIndex
from processors.curation.seal.selection import equal, numbers
from schemas.events import PLAN

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
_PARTS = ("outcome", "gates", "health")


class _Words(NamedTuple):
    """One entry a word: of which row, by which of the `known` judges (numbered from 0), what (0–1)."""

    rows: np.ndarray[Any, np.dtype[np.int64]]
    judges: np.ndarray[Any, np.dtype[np.int64]]
    words: Floats
    known: int


def outcome(facts: pa.Table) -> Floats:
    """How the environment said that each run ended: 1, 0, or NaN where it did not."""
    ended, valid = numbers(facts["success"]), numbers(facts["valid"])
    found: Floats = np.where(equal(facts["type"], PLAN), valid, ended)
    return found


def judged_quality(
    facts: pa.Table, kept: Mask, feedback: FeedbackIndex, difficulty: Floats
) -> Floats:
    """The quality of each row, 0–100, with the words of judges where there are any.

    `difficulty` is 0–1 or NaN; of rows that are not `kept` nothing is taken into account. See `processors.curation.judges` for what a word is worth.
    """
    quality = numbers(facts["quality"]).copy()
    said = _said(facts, kept, feedback)
    if not len(said.rows):
        return quality
    record = calibrate(said.judges, said.words, outcome(facts)[said.rows], said.known)
    rows, places = np.unique(said.rows, return_inverse=True)
    verdicts = judged(places, said.judges, said.words, record, len(rows))
    quality[rows] = _joined(facts, rows, 1 - difficulty[rows], verdicts)
    return quality


def _said(facts: pa.Table, kept: Mask, feedback: FeedbackIndex) -> _Words:
    found = sorted(_words(facts, kept, feedback))
    rows, names, words = zip(*found, strict=True) if found else ((), (), ())
    known, judges = np.unique(np.array(names, dtype=np.str_), return_inverse=True)
    return _Words(
        np.array(rows, np.int64), judges.astype(np.int64), np.array(words, np.float64), len(known)
    )


def _words(
    facts: pa.Table, kept: Mask, feedback: FeedbackIndex
) -> Iterator[tuple[int, str, float]]:
    wanted = feedback.judged()
    if not wanted:
        return
    columns = (facts[name].to_pylist() for name in ("tenant", "run_id", "source"))
    for row, (tenant, run, source) in enumerate(zip(*columns, strict=True)):
        if kept[row] and (tenant, run) in wanted:
            for name, word in feedback.about(tenant, run, source).words:
                yield row, name, word


def _joined(
    facts: pa.Table, rows: np.ndarray[Any, np.dtype[np.int64]], expected: Floats, said: Judged
) -> Floats:
    stated = [json.loads(text or "{}") for text in facts["quality_parts"].take(rows).to_pylist()]
    parts = [np.array([part.get(name, np.nan) for part in stated], float) for name in _PARTS]
    return joined_quality(parts[0], parts[1], parts[2], expected, said)
