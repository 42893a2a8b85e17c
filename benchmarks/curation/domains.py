"""The domain classifier on tasks it never saw, and on domains it never saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.curation.figures import interval, said
from benchmarks.curation.runs import Run, Turns, halves, read
from benchmarks.curation.section import Line, Section
from processors.curation.domains.fit import fit
from processors.curation.domains.model import ALPHA, UNKNOWN, DomainModel
from processors.curation.domains.text import domain_text

SEED = 0
_ACCURACY, _UNKNOWN = 0.90, 0.70
_BATCH = 20_000
_DEALS = ("a", "b", "c")
_HEADINGS = (
    "| domain | tasks to fit | runs tested | accuracy | called unknown | unknown when held out "
    "| others unknown then |\n|---|---:|---:|---:|---:|---:|---:|"
)
Say = Callable[[str], None]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Labelled(NamedTuple):
    """One distinct text, or one run."""

    text: str
    domain: str
    task: str


class HeldOut(NamedTuple):
    """A whole domain kept out of the fit: how much of it, and of the others, is called unknown."""

    domain: str
    runs: int
    unknown: float
    known_called_unknown: float


class Tested(NamedTuple):
    """A model of one half of the tasks, and what it says of the other half's runs."""

    model: DomainModel
    train: Sequence[Labelled]
    test: Sequence[Labelled]
    right: Bools
    unknown: Bools
    rotation: Sequence[HeldOut]

    @property
    def strange(self) -> float:
        """The mean over domains of how much is called unknown when the domain is."""
        return float(np.mean([one.unknown for one in self.rotation]))


def measure(data: Path, say: Say) -> Section:
    """See `benchmarks.curation.section`."""
    runs = read(data)
    found = tested(runs, _text, say)
    say("domains: once more, from the users' words alone, and with tasks dealt out otherwise")
    plain = tested(runs, _words_alone, lambda _line: None)
    deals = [_accuracy(*_parted(runs, _text, salt)) for salt in _DEALS]
    text = "\n".join([_method(found), "", *_table(found), "", *_notes(found, plain, deals)])
    return Section("Domains", _lines(found), text)


def tested(runs: Sequence[Run], text: Callable[[Turns], str], say: Say) -> Tested:
    """Fit on the first half of every domain's tasks, test on the other; then without each domain."""
    train, test = _parted(runs, text, "")
    say(f"domains: {len(train)} texts to fit, {len(test)} runs to test")
    model = fitted(train)
    guessed = np.array(model.names(model.predict(one.text for one in test)))
    right = guessed == np.array([one.domain for one in test])
    rotation = [_held_out(train, test, domain, say) for domain in model.labels]
    return Tested(model, train, test, right, guessed == UNKNOWN, rotation)


def _parted(
    runs: Sequence[Run], text: Callable[[Turns], str], salt: str
) -> tuple[list[Labelled], list[Labelled]]:
    """The distinct texts of one half of the tasks, and the runs of the other."""
    first = halves(runs, salt)
    known = [Labelled(text(run.turns), run.domain, run.task) for run in runs]
    train = sorted({one for one, kept in zip(known, first, strict=True) if kept})
    return train, [one for one, kept in zip(known, first, strict=True) if not kept]


def _accuracy(train: Sequence[Labelled], test: Sequence[Labelled]) -> float:
    model = fitted(train)
    guessed = model.names(model.predict(one.text for one in test))
    return float(np.mean([a == one.domain for a, one in zip(guessed, test, strict=True)]))


def fitted(train: Sequence[Labelled]) -> DomainModel:
    """A model of these texts."""
    texts, domains, tasks = zip(*train, strict=True)
    return fit(texts, domains, tasks, SEED)


def _text(turns: Turns) -> str:
    return domain_text({"messages": turns})


def _words_alone(turns: Turns) -> str:
    return domain_text({"messages": [{**turn, "tool_calls": ()} for turn in turns]})


def _held_out(
    train: Sequence[Labelled], test: Sequence[Labelled], domain: str, say: Say
) -> HeldOut:
    model = fitted([one for one in train if one.domain != domain])
    guessed = np.array(model.names(model.predict(one.text for one in test))) == UNKNOWN
    away = np.array([one.domain == domain for one in test])
    found = HeldOut(domain, int(away.sum()), guessed[away].mean(), guessed[~away].mean())
    say(f"  without {domain}: {found.unknown:.1%} of it unknown")
    return found


def _micros(found: Tested) -> float:
    """Microseconds a text, the best of three."""
    texts = [one.text for one in found.test]
    texts = (texts * (_BATCH // len(texts) + 1))[:_BATCH]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        found.model.predict(texts)
        seconds.append(time.perf_counter() - start)
    return 1e6 * min(seconds) / _BATCH


def _lines(found: Tested) -> list[Line]:
    accuracy, right = _share(found, found.right)
    strange = found.strange
    return [
        Line("domains: accuracy, unseen tasks", f"≥ {_ACCURACY}", accuracy, right >= _ACCURACY),
        Line("domains: unseen domains called unknown, mean", f"≥ {_UNKNOWN}", f"{strange:.3f}", strange >= _UNKNOWN),
        Line("domains: known ones called unknown", "reported", _share(found, found.unknown)[0], None),
        Line("domains: prediction, one thread", "reported", f"{_micros(found):.0f} µs a text", None),
    ]  # fmt: skip


def _share(found: Tested, flags: Bools) -> tuple[str, float]:
    """A share of the tested runs with its interval, and the share."""
    tasks = [one.task for one in found.test]
    value = float(flags.mean())
    return said(value, interval(lambda places: float(flags[places].mean()), tasks, SEED)), value


def _method(found: Tested) -> str:
    return (
        "A domain is what its source calls one: MINT's eight task files, InterCode's sql and bash, the tau "
        "family's airline and retail. Each domain's tasks are split into halves by a hash of the task; all "
        "runs of a task, and task n of both airlines, are in one half. The text of a run is what its users "
        "said and the names of the tools called; MINT's instructions and worked examples are left out, and "
        "so is every field that holds a reference answer. Kinds of grams, the number of characters and the "
        "way the limit is set were chosen on half of the tasks (of MINT's, which were dealt out anew after that, "
        "some are tested here). Fitted on "
        f"{len(found.train):,} distinct texts, tested on {len(found.test):,} runs; intervals by drawing whole "
        f"tasks. An `unknown` for a known domain counts as wrong; about {ALPHA:.0%} of held-out texts of known "
        "domains are to be called so. Last two columns: the model is fitted without the domain; how much of it, "
        "and how much of the other domains' unseen tasks, is then called unknown."
    )


def _table(found: Tested) -> list[str]:
    domains = np.array([one.domain for one in found.test])
    rows = [_HEADINGS]
    for held in found.rotation:
        mine = domains == held.domain
        tasks = len({one.task for one in found.train if one.domain == held.domain})
        rows.append(
            f"| {held.domain} | {tasks} | {held.runs:,} | {found.right[mine].mean():.3f} "
            f"| {found.unknown[mine].mean():.3f} | {held.unknown:.3f} "
            f"| {held.known_called_unknown:.3f} |"
        )
    return rows


def _notes(found: Tested, plain: Tested, deals: Sequence[float]) -> list[str]:
    domains = np.array([one.domain for one in found.test])
    macro = np.mean([found.right[domains == held.domain].mean() for held in found.rotation])
    pooled = np.average(
        [held.unknown for held in found.rotation], weights=[held.runs for held in found.rotation]
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scikit-learn", "scipy"))
    figures = (
        f"Mean over domains of the accuracy: {macro:.3f}. Unseen domains called unknown, over all runs: "
        f"{pooled:.3f}. From the users' words alone, without the names of tools: accuracy "
        f"{plain.right.mean():.3f}, unseen domains called unknown {plain.strange:.3f}. Tasks dealt into other "
        f"halves, {len(deals)} times: accuracy {', '.join(f'{one:.3f}' for one in deals)}."
    )
    return [figures, "", f"{versions}."]
