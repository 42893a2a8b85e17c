"""The demonstration's figures, read back from Kafka, the ledger and the registry.

Phases are told apart by facts that the events carry, not by what the simulator meant to do:

    before drift      runs whose tool definitions are those of the first run
    after drift       runs with other definitions, until the first `model.candidate`
    after promotion   runs by the promoted adapter, from `model.converged` until the window of the
                      next dataset begins
    after rollback    runs by the version that was returned to, from `model.converged` on

Without a promotion the runs after the candidate was archived are halved instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.rollout.sequences import wilson
from schemas import lifecycle
from schemas.datasets import Manifest
from schemas.events import EXECUTION
from schemas.rows import Disposition
from stores.ledger.delta import DeltaLedgerReader

PHASES = ("before_drift", "after_drift", "after_promotion", "after_rollback")
_COLUMNS = ("type", "disposition", "event_time", "tools_digest", "adapter_digest", "success", "arm")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One execution, as the ledger has it."""

    at: datetime
    tools: str | None
    adapter: str | None
    arm: str | None
    success: bool


def build_report(
    ledger: DeltaLedgerReader,
    events: Sequence[Event],
    manifests: Sequence[Manifest],
    received: int,
    seconds: float,
) -> dict[str, Any]:
    """The report. `events` are those of `model.lifecycle` in order; `received` is Kafka's count."""
    rows = read_rows(ledger)
    counts = {str(name): 0 for name in Disposition}
    for row in rows:
        counts[row["disposition"]] += 1
    runs = runs_of(rows)
    later = manifests[1].recipe.since if len(manifests) > 1 else None
    phases = split_phases(runs, events, later)
    return {
        "duration_s": round(seconds, 1),
        "events": {"received": received, **counts},
        "success_rate": {name: rate(phases[name]) for name in PHASES},
        "datasets": [
            {"version": manifest.version, "digest": manifest.digest, **manifest.counts}
            for manifest in manifests
        ],
        "adapters": [_named(event) for event in _of(events, lifecycle.CANDIDATE)],
        "promoted": [_promoted(event) for event in _of(events, lifecycle.PROMOTED)],
        "rolled_back": [_rolled_back(e, events) for e in _of(events, lifecycle.ROLLED_BACK)],
    }


def read_rows(ledger: DeltaLedgerReader) -> list[dict[str, Any]]:
    """What the report and the picture need of each row."""
    rows: list[dict[str, Any]] = ledger.table(_COLUMNS).to_pylist()
    return rows


def runs_of(rows: Sequence[Mapping[str, Any]]) -> list[Run]:
    """The executions that customers met, in the order of their ends."""
    found = [
        Run(
            *(
                row[name]
                for name in ("event_time", "tools_digest", "adapter_digest", "arm", "success")
            )
        )
        for row in rows
        if row["type"] == EXECUTION
        and row["arm"] != "shadow"
        and row["disposition"] not in (Disposition.DUPLICATE, Disposition.DEAD_LETTER)
    ]
    return sorted(found, key=lambda run: run.at)


def split_phases(
    runs: Sequence[Run], events: Sequence[Event], later: datetime | None
) -> dict[str, list[Run]]:
    """Runs by phase; a phase that did not come is empty. `later`: the second dataset's window."""
    first = runs[0].tools if runs else None
    drift = next((run.at for run in runs if run.tools != first), None)
    candidates = [_decided(event) for event in _of(events, lifecycle.CANDIDATE)]
    before = [run for run in runs if drift is None or run.at < drift]
    after = [run for run in runs if drift is not None and run.at >= drift]
    drifted = [run for run in after if not candidates or run.at < candidates[0]]
    promoted = _served_after(after, events, lifecycle.PROMOTED)
    if later is not None:
        promoted = [run for run in promoted if run.at < later]
    restored = _served_after(after, events, lifecycle.ROLLED_BACK)
    if not _of(events, lifecycle.PROMOTED):
        promoted, restored = _halves(after, events)
    return dict(zip(PHASES, (before, drifted, promoted, restored), strict=True))


def rate(runs: Sequence[Run]) -> dict[str, Any]:
    """The success rate with its 95 % Wilson interval."""
    solved = sum(run.success for run in runs)
    low, high = wilson(solved, len(runs))
    share = solved / len(runs) if runs else None
    return {"rate": share, "low": low, "high": high, "n": len(runs)}


def _served_after(runs: Sequence[Run], events: Sequence[Event], kind: str) -> list[Run]:
    """Runs by the version that the first event of a kind decided on, once gateways converged."""
    decided = _of(events, kind)
    if not decided:
        return []
    data = decided[0]["data"]
    version = data["to"] if kind == lifecycle.ROLLED_BACK else data
    digest = version["adapter_digest"] if version else None
    since = converged_at(events, data["decision_id"])
    if since is None:
        return []
    return [run for run in runs if run.at >= since and run.adapter == digest]


def _halves(runs: Sequence[Run], events: Sequence[Event]) -> tuple[list[Run], list[Run]]:
    archived = _of(events, lifecycle.ARCHIVED)
    if not archived:
        return [], []
    late = [run for run in runs if run.at >= _decided(archived[0])]
    return late[: len(late) // 2], late[len(late) // 2 :]


def converged_at(events: Sequence[Event], decision: str) -> datetime | None:
    """When every gateway served what a decision wanted."""
    for event in _of(events, lifecycle.CONVERGED):
        if event["data"]["decision_id"] == decision:
            return datetime.fromisoformat(event["data"]["converged_at"])
    return None


def _promoted(event: Event) -> dict[str, Any]:
    return {**_named(event), "event_id": event["id"]}


def _named(event: Event) -> dict[str, Any]:
    return {name: event["data"][name] for name in ("version", "adapter", "adapter_digest")}


def _rolled_back(event: Event, events: Sequence[Event]) -> dict[str, Any]:
    data = event["data"]
    restored = converged_at(events, data["decision_id"])
    detected = datetime.fromisoformat(data["detected_at"])
    return {
        "version": data["from"]["version"],
        "to": data["to"]["version"] if data["to"] else "base",
        "event_id": event["id"],
        "time_to_restore_s": (restored - detected).total_seconds() if restored else None,
    }


def _of(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def _decided(event: Event) -> datetime:
    return datetime.fromisoformat(event["data"]["decided_at"])
