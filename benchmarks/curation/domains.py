"""The domain classifier on tasks it never saw, and on domains it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.curation.figures import interval, said
from benchmarks.curation.runs import Run, halves, read
from benchmarks.curation.section import Line, Section
from processors.curation.domains.fit import fit
from processors.curation.domains.model import ALPHA, UNKNOWN, DomainModel
from processors.curation.domains.text import domain_text

SEED = 0
_ACCURACY, _UNKNOWN = 0.90, 0.70
_BATCH = 20_000
Say = Callable[[str], None]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Labelled(NamedTuple):
    """One distinct text, or one run."""

    text: str
    domain: str
    task: str


def measure(data: Path, say: Say) -> Section:
    """See `benchmarks.curation.section`."""
    runs = read(data)
    first = halves(runs)
    known = [labelled(run) for run in runs]
    train = sorted({one for one, kept in zip(known, first, strict=True) if kept})
    test = [one for one, kept in zip(known, first, strict=True) if not kept]
    say(f"domains: {len(train)} texts to fit, {len(test)} runs to test")
    model = fitted(train)
    guessed = np.array(model.names(model.predict(one.text for one in test)))
    right = guessed == np.array([one.domain for one in test])
    rotation = [_held_out(train, test, domain, say) for domain in model.labels]
    return _section(train, test, guessed, right, rotation, _micros(model, test))


def labelled(run: Run) -> Labelled:
    """A run's text as the seal would read it from the row's content."""
    return Labelled(domain_text({"messages": run.turns}), run.domain, run.task)


def fitted(train: Sequence[Labelled]) -> DomainModel:
    """A model of these texts."""
    texts, domains, tasks = zip(*train, strict=True)
    return fit(texts, domains, tasks, SEED)


class HeldOut(NamedTuple):
    """A whole domain kept out of the fit: how much of it, and of the others, is called unknown."""

    domain: str
    texts: int
    unknown: float
    known_called_unknown: float


def _held_out(
    train: Sequence[Labelled], test: Sequence[Labelled], domain: str, say: Say
) -> HeldOut:
    model = fitted([one for one in train if one.domain != domain])
    guessed = np.array(model.names(model.predict(one.text for one in test))) == UNKNOWN
    away = np.array([one.domain == domain for one in test])
    found = HeldOut(domain, int(away.sum()), guessed[away].mean(), guessed[~away].mean())
    say(f"  without {domain}: {found.unknown:.1%} of it unknown")
    return found


def _micros(model: DomainModel, test: Sequence[Labelled]) -> float:
    """Microseconds a text, the best of three."""
    texts = [one.text for one in test]
    texts = (texts * (_BATCH // len(texts) + 1))[:_BATCH]
    found = []
    for _ in range(3):
        start = time.perf_counter()
        model.predict(texts)
        found.append(time.perf_counter() - start)
    return 1e6 * min(found) / _BATCH


def _section(
    train: Sequence[Labelled],
    test: Sequence[Labelled],
    guessed: np.ndarray[Any, np.dtype[np.str_]],
    right: Bools,
    rotation: Sequence[HeldOut],
    micros: float,
) -> Section:
    tasks = [one.task for one in test]
    accuracy = float(right.mean())
    bounds = interval(lambda places: float(right[places].mean()), tasks, SEED)
    strange = float(np.mean([one.unknown for one in rotation]))
    missed = guessed == UNKNOWN
    lost = interval(lambda places: float(missed[places].mean()), tasks, SEED)
    lines = [
        Line("domains: accuracy on unseen tasks", f"≥ {_ACCURACY}", said(accuracy, bounds), accuracy >= _ACCURACY),
        Line("domains: unseen domains called unknown (mean)", f"≥ {_UNKNOWN}", f"{strange:.3f}", strange >= _UNKNOWN),
        Line("domains: known ones called unknown", "reported", said(float(missed.mean()), lost), None),
        Line("domains: prediction, one thread", "reported", f"{micros:.0f} µs a text", None),
    ]  # fmt: skip
    return Section("Domains", lines, _text(train, test, guessed, right, rotation))


def _text(
    train: Sequence[Labelled],
    test: Sequence[Labelled],
    guessed: np.ndarray[Any, np.dtype[np.str_]],
    right: Bools,
    rotation: Sequence[HeldOut],
) -> str:
    domains = np.array([one.domain for one in test])
    fit_tasks = {one.domain: len({o.task for o in train if o.domain == one.domain}) for one in train}
    rows = []
    for held in rotation:
        mine = domains == held.domain
        rows.append(
            f"| {held.domain} | {fit_tasks[held.domain]} | {int(mine.sum()):,} | {right[mine].mean():.3f} "
            f"| {(guessed[mine] == UNKNOWN).mean():.3f} | {held.unknown:.3f} "
            f"| {held.known_called_unknown:.3f} |"
        )
    macro = float(np.mean([right[domains == held.domain].mean() for held in rotation]))
    pooled = sum(h.unknown * h.texts for h in rotation) / sum(h.texts for h in rotation)
    worst = min(rotation, key=lambda held: held.unknown)
    return "\n".join(
        [
            "A domain is what its source calls one: MINT's eight task files, InterCode's sql and bash, the "
            "tau family's airline and retail. Each domain's tasks are split into halves by a hash of the "
            "task; all runs of a task, and task n of both airlines, are in one half. The text of a run is "
            "what its users said and the names of the tools called; MINT's instructions and worked examples "
            "are left out, and so is every field that holds a reference answer. Features and the limit were "
            f"chosen on the first half alone. Fitted on {len(train):,} distinct texts, tested on "
            f"{len(test):,} runs; intervals by drawing whole tasks.",
            "",
            f"Mean over domains of the accuracy: {macro:.3f}. An `unknown` for a known domain counts as "
            f"wrong; the limit is set so that about {ALPHA:.0%} of held-out texts of known domains are. "
            "Last two columns: the model is fitted without the domain; how much of it, and how much of the "
            f"other domains' unseen tasks, is then called unknown. Over all runs {pooled:.3f}; the least is "
            f"{worst.domain} with {worst.unknown:.3f}.",
            "",
            "| domain | tasks to fit | runs tested | accuracy | called unknown | unknown when held out | others unknown then |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            f"numpy {version('numpy')}, scikit-learn {version('scikit-learn')}, scipy {version('scipy')}.",
        ]
    )  # fmt: skip
