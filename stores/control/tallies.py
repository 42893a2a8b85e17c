"""What a set of rows adds to the counters. The same rows give the same tally in any order.

A tally is kept of the rows that retention drops (`frozen`); a count of the whole ledger adds it again
(`thawed`).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from schemas.events import EXECUTION, FEEDBACK

COLUMNS = (
    "cluster",
    "topic",
    "partition",
    "type",
    "tenant",
    "disposition",
    "event_time",
    "model",
    "success",
    "valid",
    "arm",
    "rollout_id",
    "session",
    "run_id",
    "duration_ms",
    "feedback",
    "trust",
    "subject",
    "author",
)
"""What counting needs of a row."""
BUCKET_SECONDS = 10
_UNCOUNTED = ("duplicate", "dead_letter")
_EVIDENCE = ("verified", "internal")
"""Whose runs decide a roll-out; failed runs count whatever their disposition."""
_COUNTERS = ("dispositions", "executions", "examples", "corrections")

Key = tuple[Any, ...]


@dataclass
class Unit:
    """One session in one roll-out."""

    arms: set[str] = field(default_factory=set)
    runs: int = 0
    successes: float = 0.0
    valid: int = 0
    duration_ms: float = 0.0


@dataclass
class Tally:
    """What a set of rows adds to the counters."""

    dispositions: Counter[Key] = field(default_factory=Counter)
    executions: Counter[Key] = field(default_factory=Counter)
    examples: Counter[Key] = field(default_factory=Counter)
    corrections: Counter[Key] = field(default_factory=Counter)
    window: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    units: dict[Key, Unit] = field(default_factory=lambda: defaultdict(Unit))
    subjects: dict[Key, tuple[str, str]] = field(default_factory=dict)
    """Erasures that events ask for, (tenant, subject): when first, RFC 3339, and the author."""


def tally(rows: Iterable[Mapping[str, Any]]) -> Tally:
    """Count rows. The same rows give the same tally in any order."""
    found = Tally()
    for row in rows:
        found.dispositions[row["topic"], row["partition"], row["disposition"]] += 1
        if row["disposition"] in _UNCOUNTED:
            continue
        if row["type"] == EXECUTION and row["model"]:
            _count_run(found, row)
        if (
            row["type"] == FEEDBACK
            and row["disposition"] == "accepted"
            and row["feedback"] == "edit"
        ):
            found.corrections[(row["tenant"],)] += 1
        if row.get("subject") and row["disposition"] == "accepted":
            asked = (row["event_time"].isoformat(), row["author"] or "")
            _ask(found, (row["tenant"], row["subject"]), asked)
    return found


def _ask(found: Tally, subject: Key, asked: tuple[str, str]) -> None:
    found.subjects[subject] = min(asked, found.subjects.get(subject, asked))


def merged(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    total = Tally()
    for found in tallies:
        for name in _COUNTERS:
            getattr(total, name).update(getattr(found, name))
        for key, counts in found.window.items():
            total.window[key].update(counts)
        for key, asked in found.subjects.items():
            _ask(total, key, asked)
        for key, unit in found.units.items():
            known = total.units[key]
            known.arms |= unit.arms
            known.runs += unit.runs
            known.successes += unit.successes
            known.valid += unit.valid
            known.duration_ms += unit.duration_ms
    return total


def frozen(found: Tally) -> pa.Table:
    """A tally as a table of texts: which counter, its key and its amount as JSON."""
    lines = [(name, key, n) for name in _COUNTERS for key, n in getattr(found, name).items()]
    lines += [("window", key, dict(counts)) for key, counts in found.window.items()]
    lines += [("subjects", key, asked) for key, asked in found.subjects.items()]
    lines += [("units", k, {**asdict(u), "arms": sorted(u.arms)}) for k, u in found.units.items()]
    columns = {
        "counter": [name for name, _, _ in lines],
        "key": [json.dumps(key) for _, key, _ in lines],
        "amount": [json.dumps(amount) for _, _, amount in lines],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def thawed(table: pa.Table) -> Tally:
    """The inverse of `frozen`."""
    found = Tally()
    for line in table.to_pylist():
        key, amount = tuple(json.loads(line["key"])), json.loads(line["amount"])
        if line["counter"] == "window":
            found.window[key] = Counter(amount)
        elif line["counter"] == "subjects":
            found.subjects[key] = tuple(amount)
        elif line["counter"] == "units":
            found.units[key] = Unit(**{**amount, "arms": set(amount["arms"])})
        else:
            getattr(found, line["counter"])[key] = amount
    return found


def _count_run(found: Tally, row: Mapping[str, Any]) -> None:
    model = (row["tenant"], row["model"])
    if row["rollout_id"] and row["arm"] and row["trust"] in _EVIDENCE:
        # The shadow answers sessions that another arm serves: its units are its own.
        name = row["session"] or row["run_id"]
        if row["arm"] == "shadow":
            name = f"shadow/{name}"
        unit = found.units[row["rollout_id"], *model, name]
        unit.arms.add(row["arm"])
        unit.runs += 1
        unit.successes += bool(row["success"])
        unit.valid += bool(row["valid"])
        unit.duration_ms += row["duration_ms"] or 0.0
    if row["arm"] == "shadow":
        return
    found.executions[model] += 1
    if row["disposition"] == "accepted":
        found.examples[model] += 1
    bucket = int(row["event_time"].timestamp()) // BUCKET_SECONDS * BUCKET_SECONDS
    found.window[*model, bucket].update(executions=1, failures=int(row["success"] is False))
