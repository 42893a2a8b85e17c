"""Quality of a run, 0–100, from what the event itself says; feedback joins at seal.

Parts and weights: outcome 60, gates 20, trace health 20. A part that the event does not state is left
out and the rest renormalised, so that silence is neither praise nor blame. Every part is kept in the
row: the score explains itself. At seal the words of judges join (`joined_quality`), each worth what it
was measured to be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.curation.judges import Judged
from schemas import structs
from schemas.executions import ExecutionData, PlanData

Floats = np.ndarray[Any, np.dtype[np.float64]]
_WEIGHTS = {"outcome": 0.6, "gates": 0.2, "health": 0.2}
_JUDGES = 0.2
"""Weight of what judges say beside a stated outcome."""
_STATUS = {"success": 1.0, "partial": 0.5}


def execution_parts(data: ExecutionData | structs.ExecutionData) -> dict[str, float]:
    """Shares 0–1 of what is known: outcome, gates passed, tool results without an error."""
    outcome = data.outcome
    parts = {"outcome": outcome.score if outcome.score is not None else 0.0}
    if outcome.score is None:
        parts["outcome"] = _STATUS.get(outcome.status, 0.0)
    if outcome.gates:
        parts["gates"] = sum(gate.passed for gate in outcome.gates) / len(outcome.gates)
    failed = [bool(message.error) for message in data.messages if message.role == "tool"]
    if failed:
        parts["health"] = failed.count(False) / len(failed)
    return parts


def plan_parts(data: PlanData) -> dict[str, float]:
    """The validator's word, and the planner's own score where there is none."""
    if data.valid is not None:
        return {"outcome": float(data.valid)}
    return {"outcome": data.score} if data.score is not None else {}


def quality(parts: dict[str, float]) -> float | None:
    """The weighted mean of the parts present, 0–100; None where nothing is known."""
    weight = total = 0.0
    for name, part in parts.items():
        weight += _WEIGHTS[name]
        total += _WEIGHTS[name] * part
    return round(100 * total / weight, 6) if weight else None


def parts_json(parts: dict[str, float]) -> str:
    """The parts as compact JSON; names are plain and shares finite, so that nothing needs escaping."""
    return "{" + ",".join([f'"{name}":{part!r}' for name, part in parts.items()]) + "}"


def joined_quality(
    outcome: Floats, gates: Floats, health: Floats, expected: Floats, said: Judged
) -> Floats:
    """Quality 0–100 with the words of judges, one entry a run; NaN where nothing is known.

    The parts are 0–1, NaN where absent; `expected` is the chance of success that the run's difficulty
    leaves. Beside a stated outcome judges weigh as much as the gates do: blame lowers, praise lifts to
    the judge's ceiling at most. Where no outcome is stated, its place is taken by what judges say and what
    was to be expected, and the whole counts for as much of 100 as the ceiling says: a judge's word alone
    gives no more than UNCALIBRATED until it is calibrated (`processors.curation.judges`).
    """
    weights = tuple(_WEIGHTS.values())
    alone = _mean((outcome, gates, health), weights)
    beside = _mean((outcome, gates, health, said.word), (*weights, _JUDGES))
    instead = _mean((said.word, expected), (1.0, 1.0))
    without = _mean((instead, gates, health), weights) * said.ceiling
    stated = np.minimum(100 * beside, np.maximum(100 * alone, said.ceiling))
    found: Floats = np.where(np.isnan(outcome), without, stated).round(6)
    return found


def _mean(parts: tuple[Floats, ...], weights: tuple[float, ...]) -> Floats:
    """The weighted mean of the parts present."""
    total, weight = np.zeros(len(parts[0])), np.zeros(len(parts[0]))
    for part, worth in zip(parts, weights, strict=True):
        known = ~np.isnan(part)
        total += worth * np.where(known, part, 0)
        weight += worth * known
    found: Floats = np.full(len(total), np.nan)
    np.divide(total, weight, out=found, where=weight > 0)
    return found
