"""The faults of a chaos run as data, what came of them, and the page that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

LIMITS = {"kill": 15.0, "restart": 3.0}
"""Seconds after which every partition moves again: after a SIGKILL, after a clean restart."""
Action = Literal["kill", "restart", "broker", "freeze"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `wait`: seconds before it; None: as soon as its member runs. `settle`: until every
    partition moves again. `seconds`: how long the broker is away or the member stands still."""

    action: Action
    member: Literal["static", "dynamic", "any"] = "any"
    wait: tuple[float, float] | None = (1.0, 3.0)
    settle: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """So many events at so many a second; the last tenth trickles until the last fault is over."""

    events: int
    rate: float
    faults: Sequence[Fault]
    session_ms: int = 10_000
    seed: int = 7


@dataclass(slots=True)
class Hit:
    """A fault that was done: the records that waited, seconds until every partition moved again."""

    fault: Fault
    member: str
    lag: int
    recovered: float | None = None


@dataclass(slots=True)
class Outcome:
    """What a run gave; `wrong` is empty if all is well."""

    hits: list[Hit] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def _kills(waits: tuple[float, float] | None, count: int, *, settle: bool) -> list[Fault]:
    names: Sequence[Literal["static", "dynamic"]] = ("static", "dynamic")
    return [Fault("kill", names[n % 2], waits, settle) for n in range(count)]


FULL = Plan(
    events=100_000,
    rate=230.0,
    faults=(
        Fault("restart", "static"),
        *_kills((1.0, 3.0), 6, settle=True),
        *_kills(None, 6, settle=False),
        Fault("broker", seconds=20.0),
        Fault("freeze", "static", seconds=60.0),
        Fault("broker", seconds=20.0),
        *[Fault("kill", "any", (0.1, 1.0), settle=False) for _ in range(30)],
        Fault("restart", "static", (30.0, 32.0)),
        Fault("broker", seconds=20.0),
    ),
)


SHORT = Plan(
    events=10_000,
    rate=450.0,
    session_ms=6_000,
    faults=(
        Fault("kill", "static", (0.2, 0.6)),
        Fault("kill", "dynamic", (0.2, 0.6)),
        Fault("kill", "static", None, settle=False),
        Fault("kill", "dynamic", None, settle=False),
        Fault("broker", wait=(0.2, 0.6), seconds=3.0),
    ),
)


def slow(hits: Sequence[Hit]) -> list[str]:
    """Recoveries above their limits."""
    return [
        f"{hit.fault.action} of {hit.member}: recovered after {hit.recovered:.1f} s"
        for hit in hits
        if (hit.recovered or 0.0) > LIMITS.get(hit.fault.action, float("inf"))
    ]


def markdown(plan: Plan, outcome: Outcome) -> str:
    """The run's page."""
    day = datetime.now(UTC).date().isoformat()
    counted = sum(hit.lag > 0 for hit in outcome.hits)
    lines = [
        "# Ingest under fire",
        "",
        f"{day}: {plan.events:,} events, {counted} of {len(plan.faults)} faults with records waiting,",
        f"{outcome.seconds:.0f} s.",
        "",
        "| fault | times | lag, lowest – highest | every partition moves again after (s) |",
        "|---|--:|--:|---|",
    ]
    for name in dict.fromkeys(_name(hit) for hit in outcome.hits):
        mine = [hit for hit in outcome.hits if _name(hit) == name]
        lags = [hit.lag for hit in mine]
        took = ", ".join(f"{hit.recovered:.1f}" for hit in mine if hit.recovered is not None)
        lines.append(f"| {name} | {len(mine)} | {min(lags)} – {max(lags)} | {took or '–'} |")
    lines += ["", "| figure | |", "|---|--:|"]
    lines += [f"| {name} | {value:,} |" for name, value in outcome.figures.items()]
    said = "; ".join(outcome.wrong) if outcome.wrong else "nothing missing, nothing doubled"
    return "\n".join([*lines, "", f"Verdict: {said}.", ""])


def _name(hit: Hit) -> str:
    fault = hit.fault
    if fault.action == "broker":
        return f"SIGKILL of the broker, {fault.seconds:.0f} s away"
    if fault.action == "freeze":
        return f"SIGSTOP of the {hit.member} member, {fault.seconds:.0f} s"
    how = "SIGKILL" if fault.action == "kill" else "clean restart"
    kind = f"{how} of the {hit.member} member"
    if fault.action == "kill" and fault.wait is None:
        return f"{kind} as soon as it runs"
    if fault.action == "kill" and not fault.settle:
        return f"{kind} after {fault.wait[0]}–{fault.wait[1]} s" if fault.wait else kind
    return kind
