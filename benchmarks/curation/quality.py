"""Quality with the outcome withheld, against the true outcome; judges before and after calibration."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import svg
from benchmarks.curation.figures import Floats, Places, auc, interval, said
from benchmarks.curation.runs import Run, halves, tau
from benchmarks.curation.section import Line, Picture, Section
from processors.curation.difficulty import conversation_facts, difficulty, failure_history
from processors.curation.judges import UNCALIBRATED, Judged, Judges, calibrate, judged
from processors.curation.score import joined_quality
from schemas.chat import Message

_JUDGED = "tau2-judge-airline"
_PRAISE = ("pass", "satisfied", "satisfactory", "compliant", "correct")
_BINS = 6
_PICTURE = "curation-calibration.svg"
_CURVE = "| mean score / 100 | ended well | runs |\n|---:|---:|---:|"
_RECORD = (
    "| judge | praised, of these right | blamed, of these right after all | ceiling |\n"
    "|---|---:|---:|---:|"
)
_JUDGES = (
    "Judges (one model, four prompts) against the environment's reward on the same 50 runs, and what "
    "the praise of each can lift a score to once it is calibrated on all of them:"
)
Say = Callable[[str], None]


class Withheld(NamedTuple):
    """Runs as columns, their outcome kept apart; `expected` comes from other tasks' outcomes alone."""

    runs: Sequence[Run]
    health: Floats
    expected: Floats
    truth: Floats


class Words(NamedTuple):
    """One entry a verdict: of which run (a place), by which judge, what, and how the run ended."""

    runs: Places
    judges: Places
    said: Floats
    ended: Floats
    names: Sequence[str]


def measure(data: Path, say: Say) -> Section:
    """See `benchmarks.curation.section`."""
    seen = withheld(list(tau(data)))
    words = verdicts(data, seen)
    say(f"quality: {len(seen.runs)} runs, {len(words.said)} verdicts of {len(words.names)} judges")
    alone = _quality(seen, nothing(len(seen.runs)))
    mine = np.flatnonzero([run.source == _JUDGED for run in seen.runs])
    taken = _quality(seen, _taken(words, _unmeasured(words), len(seen.runs)))
    joined = _quality(seen, _left_out(words, seen))
    lines = [
        _line("outcome withheld, 370 runs of tau-bench and tau2", alone, seen, np.arange(len(seen.runs))),
        _line("the same, 50 judged runs", alone, seen, mine),
        _line("the same with four judges taken at their word", taken, seen, mine),
        _line("the same with these judges calibrated on other tasks", joined, seen, mine),
        _never_above(words, len(seen.runs)),
    ]  # fmt: skip
    picture = Picture(_PICTURE, _drawn(curve(alone, seen.truth)))
    return Section("Quality", lines, _text(seen, alone, words), [picture])


def withheld(runs: Sequence[Run]) -> Withheld:
    """Health and expectation of runs. Each half of the tasks learns from the other half's outcomes."""
    first = np.array(halves(runs))
    truth = np.array([float(bool(run.success)) for run in runs])
    facts = [conversation_facts([Message.model_validate(t) for t in run.turns]) for run in runs]
    columns = {
        name: np.array([fact.get(name, np.nan) for fact in facts], float)
        for name in ("steps", "tool_errors", "replans", "tokens")
    }
    groups = np.unique([run.domain for run in runs], return_inverse=True)[1]
    tasks = np.unique([run.task for run in runs], return_inverse=True)[1]
    expected = np.empty(len(runs))
    for half in (first, ~first):
        history = failure_history(groups, tasks, np.where(half, np.nan, 1 - truth))
        expected[half] = 1 - difficulty(columns, history, groups).score[half]
    return Withheld(runs, _health(runs), expected, truth)


def _health(runs: Sequence[Run]) -> Floats:
    results = [[bool(t["error"]) for t in run.turns if t["role"] == "tool"] for run in runs]
    return np.array([1 - sum(r) / len(r) if r else np.nan for r in results])


def verdicts(data: Path, seen: Withheld) -> Words:
    """The judges' verdicts as 0 or 1, by who said them: a prompt is a judge of its own."""
    place = {run.id: n for n, run in enumerate(seen.runs) if run.source == _JUDGED}
    found, names = [], []
    for path in sorted((data / _JUDGED).glob("*summary*.json.gz")):
        entries: list[Mapping[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["entries"]
        names.append(str(entries[0]["judge_prompt_name"]))
        for one in entries:
            run = place[one["simulation_id"]]
            found.append((run, len(names) - 1, float(one["judge_verdict"] in _PRAISE)))
    runs, judges, said_ = (np.array(column) for column in zip(*found, strict=True))
    return Words(runs, judges, said_, seen.truth[runs], names)


def nothing(count: int) -> Judged:
    """No judge said anything."""
    return Judged(np.full(count, np.nan), np.full(count, UNCALIBRATED))


def _quality(seen: Withheld, words: Judged) -> Floats:
    absent = np.full(len(seen.runs), np.nan)
    return joined_quality(absent, absent, seen.health, seen.expected, words)


def _left_out(words: Words, seen: Withheld) -> Judged:
    """What judges say of each run, each calibrated on the other tasks alone."""
    found = nothing(len(seen.runs))
    tasks = np.array([seen.runs[place].task for place in words.runs])
    for task in np.unique(tasks):
        record = _record(words, tasks != task)
        mine = tasks == task
        some = judged(
            words.runs[mine], words.judges[mine], words.said[mine], record, len(seen.runs)
        )
        spoken = ~np.isnan(some.word)
        found.word[spoken], found.ceiling[spoken] = some.word[spoken], some.ceiling[spoken]
    return found


def _taken(words: Words, record: Judges, count: int) -> Judged:
    return judged(words.runs, words.judges, words.said, record, count)


def _unmeasured(words: Words) -> Judges:
    """The judges' record before the environment said anything."""
    silence = np.full(len(words.said), np.nan)
    return calibrate(words.judges, words.said, silence, len(words.names))


def _record(words: Words, used: np.ndarray[Any, np.dtype[np.bool_]]) -> Judges:
    return calibrate(words.judges[used], words.said[used], words.ended[used], len(words.names))


def _line(what: str, score: Floats, seen: Withheld, places: Places) -> Line:
    def measured(drawn: Places) -> float:
        return auc(score[places[drawn]], seen.truth[places[drawn]] == 1)

    tasks = [seen.runs[place].task for place in places]
    value = said(measured(np.arange(len(places))), interval(measured, tasks))
    return Line(f"quality: AUC against the true outcome, {what}", "reported", value, None)


def _never_above(words: Words, count: int) -> Line:
    """The highest score that any verdict gives by itself, before any outcome is known."""
    absent = np.full(count, np.nan)
    unmeasured, highest = _unmeasured(words), 0.0
    for judge in range(len(words.names)):
        mine = words.judges == judge
        some = judged(words.runs[mine], words.judges[mine], words.said[mine], unmeasured, count)
        found = joined_quality(absent, absent, absent, absent, some)
        highest = max(highest, float(np.nanmax(found)))
    text = f"{highest:.1f} at most, over {len(words.said)} verdicts"
    return Line("quality: a judge's word alone, not calibrated", f"≤ {UNCALIBRATED:.0f}", text, highest <= UNCALIBRATED)  # fmt: skip


def curve(score: Floats, truth: Floats) -> list[tuple[float, float, int]]:
    """Calibration: (mean score 0–1, share that ended well, runs) of equally large bins of the score."""
    order = np.argsort(score, kind="stable")
    return [
        (float(score[some].mean() / 100), float(truth[some].mean()), len(some))
        for some in np.array_split(order, _BINS)
    ]


def _drawn(points: Sequence[tuple[float, float, int]]) -> str:
    """The curve beside the diagonal, on which a score is the share that ends well."""
    series = [
        ("measured", [(mean, share) for mean, share, _ in points]),
        ("as the score says", [(0.0, 0.0), (1.0, 1.0)]),
    ]
    ticks = [(tenth / 10, f"{tenth / 10:.1f}") for tenth in range(11)]
    return svg.lines([("Share that ended well", series)], svg.Axis(ticks, "mean score / 100"))


def _text(seen: Withheld, alone: Floats, words: Words) -> str:
    record = _record(words, np.ones(len(words.said), bool))
    points = curve(alone, seen.truth)
    bins = [f"| {mean:.3f} | {share:.3f} | {runs} |" for mean, share, runs in points]
    error = sum(abs(mean - share) * runs for mean, share, runs in points) / len(seen.runs)
    return "\n\n".join(
        [
            _method(seen, alone),
            f"Calibration curve, equally large bins (expected calibration error {error:.3f}):",
            "\n".join([_CURVE, *bins]),
            f"![calibration: what came true against the score]({_PICTURE})",
            _JUDGES,
            "\n".join([_RECORD, *_judge_rows(record, words.names)]),
            f"numpy {version('numpy')}, scipy {version('scipy')}.",
        ]
    )


def _method(seen: Withheld, alone: Floats) -> str:
    sources = sorted({run.source for run in seen.runs})
    by_source = ", ".join(f"{name} {_auc_of(name, alone, seen):.3f}" for name in sources)
    health = auc(np.nan_to_num(seen.health, nan=1.0), seen.truth == 1)
    return (
        "Status, reward, gates and the parts of the reward are withheld; what is left is the share of tool "
        "results without an error and what the difficulty lets expect. Its history comes from the outcomes of "
        "the other half of the tasks. Nothing was tuned on these outcomes but the weights of difficulty, on one "
        f"half. By source: {by_source}. Health alone: {health:.3f}. Intervals by drawing whole tasks. Without a "
        f"stated outcome a score is at most {UNCALIBRATED:.0f}, so the curve lies below what comes true."
    )


def _auc_of(source: str, score: Floats, seen: Withheld) -> float:
    mine = np.array([run.source == source for run in seen.runs])
    return auc(score[mine], seen.truth[mine] == 1)


def _judge_rows(record: Judges, names: Sequence[str]) -> list[str]:
    return [
        f"| {name} | {pairs[1]:.0f}, {right[1] / pairs[1]:.0%} | {pairs[0]:.0f}, "
        f"{right[0] / pairs[0]:.0%} | {ceiling:.0f} |"
        for name, pairs, right, ceiling in zip(
            names, record.pairs, record.right, record.ceilings(), strict=True
        )
    ]
