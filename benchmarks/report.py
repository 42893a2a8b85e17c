"""The table of `benchmarks/ingest.md`, and its picture."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from benchmarks import svg
from benchmarks.measurement import Measurement, median_cpu, median_rate

Runs = Mapping[str, Sequence[Measurement]]
TITLES = {
    "read": "aiokafka, only reads (ceiling, no rival)",
    "validate": "aiokafka, polls and validates",
    "faust": "Faust agent, only validates",
    "quix": "Quix Streams, only validates",
    "quix-sink": "Quix Streams, validates, file sink",
    "bare": "Lorikeet without redaction and labels",
    "whole": "Lorikeet, whole path",
    "whole-2": "Lorikeet, whole path, 2 workers",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """One contender's median rate is at least `times` another's; `strictly`: above it."""

    mine: str
    other: str
    times: float
    strictly: bool = False

    def ratio(self, runs: Runs) -> float:
        """What was measured."""
        return median_rate(runs[self.mine]) / median_rate(runs[self.other])

    def met(self, runs: Runs) -> bool:
        """Whether that is enough."""
        found = self.ratio(runs)
        return found > self.times if self.strictly else found >= self.times


GOALS = (
    Goal("bare", "validate", 0.6),
    Goal("bare", "quix-sink", 1.0),
    Goal("whole", "validate", 0.35),
    Goal("whole", "faust", 1.0, strictly=True),
    Goal("whole-2", "whole", 1.6),
)


def markdown(
    runs: Runs, *, day: date, machine: Mapping[str, str], events: int, size: float, personal: int
) -> str:
    """The page. `size` is an event's mean in bytes, `personal` how many carry personal data."""
    count = max(len(found) for found in runs.values())
    return "\n".join(
        [
            "# Ingest beside others",
            "",
            f"Made by `make bench-ingest` on {day.isoformat()}: {events:,} events of {size:,.0f} bytes,",
            f"structured mode, 4 partitions, {personal / events:.0%} with personal data; medians of",
            f"{count} run{'s' if count > 1 else ''} each, taken in turns. The broker has one core, the",
            "consumer another; with two workers everything shares both. All validate with the same",
            "pydantic types. Time and CPU run from the first record (Lorikeet: from its assignment) to",
            "the last one done (Lorikeet: its commit returned, synced to disk).",
            "",
            *_rates(runs),
            "",
            "![events a second](ingest.svg)",
            "",
            *_goals(runs),
            "",
            *_facts(runs, machine),
        ]
    )


def picture(runs: Runs) -> str:
    """The rates as bars, without the ceiling beside which the others would be one length."""
    shown = {name: found for name, found in runs.items() if name != "read"}
    values = [(TITLES[name], median_rate(found)) for name, found in shown.items()]
    return svg.bars("Ingest", "events a second (medians)", values, "Lorikeet")


def _rates(runs: Runs) -> list[str]:
    base = median_rate(runs["validate"]) if "validate" in runs else None
    lines = [
        "| path | events/s | lowest – highest | CPU µs/event | × validating loop |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, found in runs.items():
        rates = [run.rate for run in found]
        share = f"{statistics.median(rates) / base:.2f}" if base else "–"
        lines.append(
            f"| {TITLES[name]} | {median_rate(found):,.0f} | {min(rates):,.0f} – {max(rates):,.0f}"
            f" | {median_cpu(found):.1f} | {share} |"
        )
    return lines


def _goals(runs: Runs) -> list[str]:
    lines = ["| goal | wanted | measured | |", "|---|--:|--:|---|"]
    for goal in GOALS:
        if goal.mine in runs and goal.other in runs:
            wanted = f"{'>' if goal.strictly else '≥'} {goal.times:g}"
            verdict = "met" if goal.met(runs) else "**missed**"
            lines.append(
                f"| {TITLES[goal.mine]} ÷ {TITLES[goal.other]} | {wanted} |"
                f" {goal.ratio(runs):.2f} | {verdict} |"
            )
    return lines


def _facts(runs: Runs, machine: Mapping[str, str]) -> list[str]:
    versions = {name: v for found in runs.values() for name, v in found[-1].versions.items()}
    said = ", ".join(f"{name} {found}" for name, found in sorted(versions.items()))
    return [
        "Machine: " + "; ".join(f"{name} {value}" for name, value in machine.items()) + ".",
        "",
        f"Versions: Apache Kafka 4.2.0, {said}.",
        "",
        "Configurations:",
        "",
        *[f"- {TITLES[name]}: {found[-1].configuration}" for name, found in runs.items()],
        "",
    ]
