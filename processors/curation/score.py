"""Quality of a run, 0–100, from what the event itself says; feedback joins at seal.

Parts and weights: outcome 60, gates 20, trace health 20. A part that the event does not state is left
out and the rest renormalised, so that silence is neither praise nor blame. Every part is kept in the
row: the score explains itself.
"""

from __future__ import annotations

from schemas import structs
from schemas.executions import ExecutionData, PlanData

_WEIGHTS = {"outcome": 0.6, "gates": 0.2, "health": 0.2}
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
