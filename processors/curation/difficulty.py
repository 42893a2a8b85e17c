"""How hard a run was, 0–1, from what its event says and how its domain went for others.

Parts and weights: steps 20, failed tool calls 10, replans 10, tokens 30, history 30; a part that is not
known is left out and the rest renormalised. Steps and tokens are set against what is usual in the run's
group (domain and task type): x / (x + usual) is 0.5 for a run like most. Failed calls and replans count
by themselves: x / (x + 1). History is the failure rate of the group's other tasks in the window. Nothing
of a run's own outcome, nor of its task's other runs, goes into its score. The weights were chosen on half
of the tasks of MINT, InterCode and the tau family; `benchmarks/curation.md` has the other half.

Ingest counts the facts of each run (`steps`, `tool_errors`, `replans`, `tokens` of its row); the rest is
the seal's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from schemas import structs
from schemas.chat import Message, plain_text
from schemas.digests import compact_json
from schemas.executions import PlanData

WEIGHTS = {"steps": 0.2, "tool_errors": 0.1, "replans": 0.1, "tokens": 0.3, "history": 0.3}
LEVELS = ("easy", "medium", "hard", "very_hard")
BORDERS = (0.4, 0.5, 0.6)
"""Where medium, hard and very_hard begin."""
_CHARACTERS = 4
"""Characters that count as one token: all runs are measured alike, whatever their tokenizer."""
_FEW = 10
"""Runs that a group needs for a median of its own, and weight of the window in a group's history."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]
_Encode: TypeAlias = Callable[[Any], bytes]


def conversation_facts(
    messages: Sequence[Message] | Sequence[structs.Message], encode: _Encode = compact_json
) -> dict[str, Any]:
    """The model's turns, failed tool results and tokens written, as floats; {} without messages.

    `encode` writes compact JSON in UTF-8: `content_json`, a quarter of the time, for what msgspec read.
    """
    if not messages:
        return {}
    steps = errors = written = 0
    arguments: list[Any] = []
    for message in messages:
        role = message.role
        if role == "assistant":
            steps += 1
            if content := message.content:
                written += len(content if type(content) is str else plain_text(content))
            for call in message.tool_calls or ():
                written += len(call.name or "")
                arguments.append(call.arguments)
        elif role == "tool" and message.error:
            errors += 1
    tokens = (written + _size(arguments, encode)) / _CHARACTERS
    return {"steps": float(steps), "tool_errors": float(errors), "tokens": tokens}


def plan_facts(data: PlanData) -> dict[str, Any]:
    """A plan's steps and the tokens of them, and its replans, as floats; each where it is stated."""
    facts = {} if data.replans is None else {"replans": float(data.replans)}
    if not data.steps:
        return facts
    written = sum(len(step.description or "") + len(step.tool or "") for step in data.steps)
    written += _size([step.arguments for step in data.steps if step.arguments], compact_json)
    return {**facts, "steps": float(len(data.steps)), "tokens": written / _CHARACTERS}


def _size(arguments: list[Any], encode: _Encode) -> int:
    """Characters of all of them as JSON; encoded at once, that costs a third."""
    return len(encode(arguments).decode()) - len(arguments) - 1 if arguments else 0


class Difficulty(NamedTuple):
    """One entry a run: `score` 0–1 or NaN, `level` a place in LEVELS or -1, and the parts, NaN if absent."""

    score: Floats
    level: np.ndarray[Any, np.dtype[np.int8]]
    parts: Mapping[str, Floats]


def difficulty(facts: Mapping[str, Floats], history: Floats, groups: Codes) -> Difficulty:
    """Score the runs of a window.

    `facts` holds float64 columns steps, tool_errors, replans and tokens (NaN: not known); `history` is that of
    `failure_history`; `groups` numbers each run's domain and task type from 0. No run's place matters.
    """
    parts = {
        "steps": _against(facts["steps"], groups),
        "tool_errors": facts["tool_errors"] / (facts["tool_errors"] + 1),
        "replans": facts["replans"] / (facts["replans"] + 1),
        "tokens": _against(facts["tokens"], groups),
        "history": history,
    }
    weight, total = np.zeros(len(groups)), np.zeros(len(groups))
    for name, part in parts.items():
        known = ~np.isnan(part)
        weight += WEIGHTS[name] * known
        total += WEIGHTS[name] * np.where(known, part, 0)
    score = np.divide(total, weight, out=np.full(len(groups), np.nan), where=weight > 0)
    score = np.round(score, 6)
    level = np.where(np.isnan(score), -1, np.searchsorted(BORDERS, score, side="right"))
    return Difficulty(score, level.astype(np.int8), parts)


def failure_history(groups: Codes, tasks: Codes, failed: Floats) -> Floats:
    """The failure rate of the other tasks of each run's group, NaN where no other task is known.

    `failed` is 1, 0 or NaN (not known). A group with few such runs is drawn towards the whole window, again
    without the run's own task.
    """
    known = ~np.isnan(failed)
    bad = np.where(known, failed, 0)
    pairs = np.unique(groups * (tasks.max(initial=0) + 1) + tasks, return_inverse=True)[1]
    runs = _sums(known, groups) - _sums(known, pairs)
    fails = _sums(bad, groups) - _sums(bad, pairs)
    others = known.sum() - _sums(known, tasks)
    rate = np.divide(
        bad.sum() - _sums(bad, tasks), others, out=np.full(len(groups), np.nan), where=others > 0
    )
    found: Floats = (fails + _FEW * rate) / (runs + _FEW)
    return found


def _sums(values: np.ndarray[Any, Any], codes: Codes) -> Floats:
    """For each entry the sum over all entries of its code."""
    found: Floats = np.bincount(codes, values).astype(np.float64)[codes]
    return found


def _against(values: Floats, groups: Codes) -> Floats:
    """X / (x + the group's median), the window's median where the group has few runs."""
    usual = np.maximum(_medians(values, groups), 1)[groups]
    found: Floats = values / (values + usual)
    return found


def _medians(values: Floats, groups: Codes) -> Floats:
    """The lower median of each group's known values."""
    known = ~np.isnan(values)
    count = np.bincount(groups, known, minlength=1).astype(np.int64)
    order = np.lexsort((values, groups))  # NaN sorts last
    starts = np.cumsum(np.bincount(groups, minlength=1)) - np.bincount(groups, minlength=1)
    window = np.sort(values[known])
    usual = window[(len(window) - 1) // 2] if len(window) else 1.0
    middle = np.minimum(starts + np.maximum(count - 1, 0) // 2, max(len(values) - 1, 0))
    own = values[order][middle] if len(values) else np.full(len(count), usual)
    found: Floats = np.where(count >= _FEW, own, usual)
    return found
