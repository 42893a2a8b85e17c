"""What an event says of itself beside outcome and text: how hard it was, its gates, how far to trust it.

What the event does not say stays absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from processors.curation.difficulty import conversation_facts, plan_facts
from processors.curation.redacted_content import Encode
from schemas import structs
from schemas.digests import compact_json
from schemas.executions import ExecutionData, Gate, PlanData, RunData

AnyExecution: TypeAlias = ExecutionData | structs.ExecutionData
STATED = ("synthetic", "specificity", "correctness")
"""Entries of an event's `labels` that are columns: a share as text, or true or false."""
CHECKED = ("specificity", "correctness")
"""What a gate of this name says where no label does."""
_SHARE = re.compile(r"[0-9]{0,9}\.?[0-9]{1,30}(?:e-?[0-9]{1,3})?")
_WORDS = {"true": 1.0, "false": 0.0}
_MOST_GATES = 50
_LONGEST_NAME = 100
_REMEMBERED = 1024
"""Agents' gates have the same names again and again: a name that is known costs 0.1 µs, a new one 4."""


class Labels:
    """Pure: the same event always gives the same labels. `leaves` says whether redaction leaves a text."""

    def __init__(self, leaves: Callable[[str], bool]) -> None:
        self._leaves = leaves
        self._key = lru_cache(_REMEMBERED)(self._json_key)

    def of_execution(self, data: AnyExecution, encode: Encode) -> dict[str, Any]:
        """The columns of a run by name; `encode` is that of its content."""
        found = conversation_facts(data.messages, encode)
        found |= _stated(data)
        gates = data.outcome.gates
        if not gates:
            return found
        passed = _passed(gates[:_MOST_GATES])
        for name in CHECKED:
            if name in passed and found.get(name) is None:
                found[name] = float(passed[name])
        return {**found, "gates": self._gates(passed)}

    def of_plan(self, data: PlanData) -> dict[str, Any]:
        """The columns of a plan by name."""
        return plan_facts(data) | _stated(data)

    def _gates(self, passed: Mapping[str, bool]) -> str:
        """Compact JSON, {name: whether it passed}, of names that are short and that redaction leaves."""
        held = [
            f"{key}:{'true' if ok else 'false'}"
            for name, ok in passed.items()
            if len(name) <= _LONGEST_NAME and (key := self._key(name))
        ]
        return "{" + ",".join(held) + "}"

    def _json_key(self, name: str) -> str:
        return compact_json(name).decode() if self._leaves(name) else ""


def _stated(data: RunData | structs.ExecutionData) -> dict[str, float | None]:
    metrics, labels = data.metrics, data.labels
    found = {"grounding": metrics.grounding_score, "contradiction": metrics.contradiction_rate}
    if labels:
        for name in STATED:
            if name in labels:
                found[name] = _share(labels[name])
    return found


def _share(text: str) -> float | None:
    """The share that a label states; None for what is no number from 0 to 1."""
    if not _SHARE.fullmatch(text):
        return _WORDS.get(text)
    share = float(text)
    return share if share <= 1 else None


def _passed(gates: Sequence[Gate] | Sequence[structs.Gate]) -> dict[str, bool]:
    """By name; one that is stated more than once has to pass each time."""
    found: dict[str, bool] = {}
    for gate in gates:
        found[gate.name] = gate.passed and found.get(gate.name, True)
    return found
