"""Fit a domain model from what a tenant's events declare, measure it on held-out tasks, keep it.

    domains/<digest>/model.json, weights.npy, lengths.npy

The header goes last: a reader trusts only what it names.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc

from processors.curation.domains import codec
from processors.curation.domains.fit import fit
from processors.curation.domains.grams import LIMIT
from processors.curation.domains.model import UNKNOWN, DomainModel
from processors.curation.domains.text import domain_text
from schemas.digests import sha256_hex
from schemas.errors import Code, Unrecoverable
from schemas.events import EXECUTION, FEEDBACK, PLAN
from schemas.rows import Disposition
from stores.artifacts.objects import ObjectFolder
from stores.ledger.place import Place
from stores.ledger.scan import Scan, where

MIN_TASKS = 10
"""Distinct tasks that a domain needs before it is learned."""
MOST_TEXTS = 2_000
"""Texts of a domain that are used; of more, those with the smallest seeded hash."""
_TEST = 5
"""One task in so many is held out to measure."""
_KEPT = [str(d) for d in (Disposition.ACCEPTED, Disposition.REVIEW, Disposition.REJECTED)]
_WHO = ("tenant", "user", "session", "source", "run_id", "plan_id")
_COLUMNS = ("domain", "task", "prompt_digest", "content", *_WHO)
_LIBRARIES = ("numpy", "scikit-learn", "scipy")
Record = Mapping[str, Any]


class Example(NamedTuple):
    """A text whose domain is declared. Examples sort by domain, task and text: the canonical order."""

    domain: str
    task: str
    text: str


class TrainDomains:
    """Rows with a declared domain in; a content-addressed model and its figures out."""

    def __init__(self, ledger: Path | Place, objects: ObjectFolder) -> None:
        self._ledger = ledger
        self._objects = objects

    def __call__(self, tenant: str, *, days: float, seed: int = 0) -> dict[str, Any]:
        """Fit on the last `days` of the tenant's events, by event time; the figures of that very model.

        The same rows give the same model, in whatever order they lie. Raises
        Unrecoverable(TOO_FEW_DOMAINS).
        """
        found = self._examples(tenant, days, seed)
        used, left_out = _usable(found)
        if len(used) < 2:  # noqa: PLR2004 - one domain has nothing to be told apart from
            raise Unrecoverable(Code.TOO_FEW_DOMAINS, _figures(tenant, found))
        train, test = _parted([one for domain in sorted(used) for one in used[domain]], seed)
        facts = {
            "tenant": tenant,
            "days": days,
            "seed": seed,
            "texts": dict(Counter(one.domain for one in train)),
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
        model = _fitted(train, seed, facts)
        digest, files = codec.written(model)
        for name in sorted(files, key=lambda name: name == codec.HEADER):
            self._objects.put(f"domains/{digest}/{name}", files[name])
        return {"digest": digest, **facts, "left_out": left_out, **_measured(model, test)}

    def _examples(self, tenant: str, days: float, seed: int) -> dict[str, list[Example]]:
        scan = Scan(self._ledger)
        wanted = _declared(tenant)
        newest = _newest(scan, wanted)
        if newest is None:
            return {}
        wanted = wanted & (pc.field("event_time") >= newest - timedelta(days=days))
        erased = _erased(scan, tenant)
        records = (
            record
            for batch in scan.batches(_COLUMNS, wanted)
            for record in batch.to_pylist()
            if not _forgotten(record, erased)
        )
        return _chosen(records, seed)


def _declared(tenant: str) -> pc.Expression:
    """Runs and plans that say their domain; those of unknown trust teach nothing."""
    wanted = where(tenant=tenant, type=[EXECUTION, PLAN], disposition=_KEPT)
    known = pc.field("domain").is_valid() & ~pc.field("domain").isin(["", UNKNOWN])
    return wanted & known & pc.field("content").is_valid() & (pc.field("trust") != "unknown")


def load(objects: ObjectFolder, digest: str) -> DomainModel:
    """The model of a digest. Raises Unrecoverable where it is not there, or not what it was."""
    return codec.read(digest, lambda name: objects.get(f"domains/{digest}/{name}"))


def _newest(scan: Scan, wanted: pc.Expression) -> datetime | None:
    times = [pc.max(batch["event_time"]).as_py() for batch in scan.batches(("event_time",), wanted)]
    return max((time for time in times if time), default=None)


def _erased(scan: Scan, tenant: str) -> set[frozenset[tuple[str, Any]]]:
    """What erasures name, in the columns of the rows that they are about."""
    wanted = where(tenant=tenant, type=FEEDBACK, disposition=str(Disposition.ACCEPTED))
    wanted = wanted & pc.field("subject").is_valid()
    renamed = {"execution_id": "run_id"}
    return {
        frozenset((renamed.get(name, name), value) for name, value in json.loads(subject).items())
        for batch in scan.batches(("subject",), wanted)
        for subject in batch["subject"].to_pylist()
    }


def _forgotten(record: Record, erased: Iterable[frozenset[tuple[str, Any]]]) -> bool:
    facts = {(name, record[name]) for name in _WHO}
    return any(subject <= facts for subject in erased)


def _chosen(records: Iterable[Record], seed: int) -> dict[str, list[Example]]:
    """Each domain's distinct examples, at most MOST_TEXTS, whatever the order of the records."""
    heaps: dict[str, list[tuple[int, Example]]] = defaultdict(list)
    seen: dict[str, set[int]] = defaultdict(set)
    for example in _read(records):
        heap, known = heaps[example.domain], seen[example.domain]
        rank = -int(sha256_hex(f"{seed}|{example.task}|{example.text}".encode())[:16], 16)
        if rank in known:
            continue
        known.add(rank)
        heapq.heappush(heap, (rank, example))
        if len(heap) > MOST_TEXTS:
            known.discard(heapq.heappop(heap)[0])
    return {domain: sorted(example for _, example in heap) for domain, heap in heaps.items()}


def _read(records: Iterable[Record]) -> Iterator[Example]:
    for record in records:
        text = domain_text(json.loads(record["content"]))[:LIMIT]
        if text:
            task = record["task"] or record["prompt_digest"] or sha256_hex(text.encode())
            yield Example(record["domain"], task, text)


def _usable(
    found: Mapping[str, Sequence[Example]],
) -> tuple[dict[str, Sequence[Example]], dict[str, int]]:
    """Domains with enough tasks, and how many tasks the others have."""
    tasks = {domain: len({one.task for one in some}) for domain, some in found.items()}
    few = {domain: count for domain, count in sorted(tasks.items()) if count < MIN_TASKS}
    return {domain: some for domain, some in found.items() if domain not in few}, few


def _figures(tenant: str, found: Mapping[str, Sequence[Example]]) -> str:
    tasks = {domain: len({one.task for one in some}) for domain, some in sorted(found.items())}
    said = ", ".join(f"{domain} {count}" for domain, count in tasks.items()) or "none"
    return f"tenant {tenant} needs two domains with {MIN_TASKS} tasks each, and has: {said}"


def _parted(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """(to fit, to measure): of every domain one task in _TEST is held out with all of its texts."""
    tasks: dict[str, set[str]] = defaultdict(set)
    for one in examples:
        tasks[one.domain].add(one.task)
    out = {
        task
        for known in tasks.values()
        for task in sorted(known, key=lambda t: sha256_hex(f"test|{seed}|{t}".encode()))[::_TEST]
    }
    train = [one for one in examples if one.task not in out]
    return train, [one for one in examples if one.task in out]


def _fitted(train: Sequence[Example], seed: int, facts: Mapping[str, Any]) -> DomainModel:
    domains, tasks, texts = zip(*train, strict=True)
    return fit(texts, domains, tasks, seed, facts)


def _measured(model: DomainModel, test: Sequence[Example]) -> dict[str, Any]:
    """Shares of the held-out tasks' texts; `unknown` counts as wrong."""
    guessed = model.names(model.predict(one.text for one in test))
    domains: dict[str, Any] = {}
    for name in model.labels:
        mine = [guess for guess, one in zip(guessed, test, strict=True) if one.domain == name]
        domains[name] = {
            "tested": len(mine),
            "right": mine.count(name) / len(mine),
            "unknown": mine.count(UNKNOWN) / len(mine),
        }
    right = sum(guess == one.domain for guess, one in zip(guessed, test, strict=True))
    return {
        "tested": len(test),
        "accuracy": right / len(test),
        "called_unknown": guessed.count(UNKNOWN) / len(test),
        "domains": domains,
    }
