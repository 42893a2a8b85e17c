"""Difficulty against InterCode's `hardness`, and against failure on unseen tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.curation.figures import Floats, Places, auc, interval, said, spearman
from benchmarks.curation.runs import Run, halves, read
from benchmarks.curation.section import Line, Section
from processors.curation.difficulty import (
    BORDERS,
    LEVELS,
    WEIGHTS,
    Difficulty,
    conversation_facts,
    difficulty,
    failure_history,
)
from schemas.chat import Message

_HARDNESS = {"easy": 0, "medium": 1, "hard": 2, "extra": 3}
_HEADINGS = (
    "| domain | runs | failed | AUC, difficulty | AUC, messages |\n|---|---:|---:|---:|---:|"
)
Say = Callable[[str], None]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Scored(NamedTuple):
    """Runs as columns: what they are scored by, and the truth."""

    runs: Sequence[Run]
    first: Bools
    found: Difficulty
    messages: Floats
    failed: Floats
    hardness: Floats

    def tasks(self, places: Places) -> list[str]:
        """The tasks of some runs."""
        return [self.runs[place].task for place in places]


def measure(data: Path, say: Say) -> Section:
    """See `benchmarks.curation.section`."""
    scored = score(read(data))
    say(f"difficulty: {len(scored.runs)} runs, {int(scored.first.sum())} in the first half")
    hard = np.flatnonzero(~scored.first & ~np.isnan(scored.hardness))
    judged = np.flatnonzero(~scored.first & ~np.isnan(scored.failed))
    lines = [
        _compared("rank correlation with InterCode's hardness", scored, hard, scored.hardness, spearman),
        _compared("AUC against failure on unseen tasks", scored, judged, scored.failed, _auc),
    ]  # fmt: skip
    return Section("Difficulty", lines, _text(scored, hard, judged))


def score(runs: Sequence[Run]) -> Scored:
    """Difficulty of all runs, where only the first half's outcomes are known to the history."""
    first = np.array(halves(runs))
    failed = np.array([np.nan if run.success is None else float(not run.success) for run in runs])
    facts = [conversation_facts([Message.model_validate(t) for t in run.turns]) for run in runs]
    columns = {
        name: np.array([fact.get(name, np.nan) for fact in facts], float)
        for name in ("steps", "tool_errors", "replans", "tokens")
    }
    groups = np.unique([run.domain for run in runs], return_inverse=True)[1]
    tasks = np.unique([run.task for run in runs], return_inverse=True)[1]
    history = failure_history(groups, tasks, np.where(first, failed, np.nan))
    return Scored(
        runs,
        first,
        difficulty(columns, history, groups),
        np.array([len(run.turns) for run in runs], float),
        failed,
        np.array([_HARDNESS.get(run.hardness or "", np.nan) for run in runs], float),
    )


def _auc(value: Floats, truth: Floats) -> float:
    return auc(value, truth == 1)


def _compared(
    what: str,
    scored: Scored,
    places: Places,
    truth: Floats,
    measured: Callable[[Floats, Floats], float],
) -> Line:
    """Ours beside the number of messages, and the paired difference; met if its interval is above 0."""
    tasks = scored.tasks(places)

    def of(value: Floats) -> Callable[[Places], float]:
        return lambda drawn: measured(value[places[drawn]], truth[places[drawn]])

    ours, plain = of(scored.found.score), of(scored.messages)
    every = np.arange(len(places))
    bounds = interval(lambda drawn: ours(drawn) - plain(drawn), tasks)
    text = (
        f"{said(ours(every), interval(ours, tasks))} against {said(plain(every), interval(plain, tasks))}; "
        f"difference {said(ours(every) - plain(every), bounds)}"
    )
    return Line(f"difficulty: {what}", "above number of messages", text, bounds[0] > 0)


def _text(scored: Scored, hard: Places, judged: Places) -> str:
    rows = [_row(name, scored, judged[mask]) for name, mask in _domains(scored, judged)]
    without = f"Without the history: AUC {_without(scored, judged):.3f}."
    versions = f"numpy {version('numpy')}, scipy {version('scipy')}."
    table = "\n".join([_HEADINGS, *rows])
    levels = "\n".join(_levels(scored, judged))
    return "\n\n".join([_method(scored, hard, judged), without, table, levels, versions])


def _method(scored: Scored, hard: Places, judged: Places) -> str:
    weights = ", ".join(
        f"{name.replace('_', ' ')} {weight:.0%}" for name, weight in WEIGHTS.items()
    )
    return (
        f"Hardness: {len(hard):,} runs of {len(set(scored.tasks(hard)))} SQL tasks. Failure: "
        f"{len(judged):,} runs of {len(set(scored.tasks(judged)))} tasks of MINT, InterCode, tau-bench and "
        "tau2; runs that the infrastructure broke off are left out. Each domain's tasks are split into halves; "
        f"the weights ({weights}) were chosen on the first, the figures are of the second. The history of a run "
        "comes from the first half's outcomes alone. Intervals by drawing whole tasks. No set states replans of "
        "executions, so that part is absent here. Steps and messages grow with failure itself where an agent may "
        "try again (InterCode, MINT), for us as for the baseline."
    )


def _domains(scored: Scored, judged: Places) -> list[tuple[str, Bools]]:
    names = np.array([scored.runs[place].domain for place in judged])
    return [(str(name), names == name) for name in np.unique(names)]


def _row(name: str, scored: Scored, places: Places) -> str:
    truth = scored.failed[places]
    ours, plain = _auc(scored.found.score[places], truth), _auc(scored.messages[places], truth)
    return f"| {name} | {len(places):,} | {truth.mean():.2f} | {ours:.3f} | {plain:.3f} |"


def _without(scored: Scored, judged: Places) -> float:
    """The AUC of the parts that the events alone give."""
    parts = {name: part for name, part in scored.found.parts.items() if name != "history"}
    total = np.sum([WEIGHTS[name] * np.nan_to_num(part) for name, part in parts.items()], axis=0)
    return _auc(total[judged], scored.failed[judged])


def _levels(scored: Scored, judged: Places) -> list[str]:
    borders = ("0", *map(str, BORDERS))
    found = ["| level | from | runs | failed |", "|---|---:|---:|---:|"]
    for number, (name, border) in enumerate(zip(LEVELS, borders, strict=True)):
        mine = judged[scored.found.level[judged] == number]
        share = f"{scored.failed[mine].mean():.2f}" if len(mine) else "–"
        found.append(f"| {name} | {border} | {len(mine):,} | {share} |")
    return found
