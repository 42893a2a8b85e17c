"""Counters advance from the ledger's log, once a commit; a full recount agrees."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select

from operations.count_ledger import CountLedger
from schemas.records import TopicPartition
from schemas.rows import Disposition, Row
from schemas.telemetry import NoMeter
from stores.control import counters
from stores.control.database import Database
from stores.control.tables import metadata
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.table import open_table
from tests.installation import canary, database
from tests.support import NOW, row

TABLES = (
    "disposition_counts",
    "model_totals",
    "tenant_totals",
    "window_counts",
    "rollout_units",
    "ledger_offsets",
    "ledger_cursor",
)


def snapshot(store: Database) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: store.read(
            lambda c: sorted(tuple(r) for r in c.execute(select(metadata.tables[name])))
        )
        for name in TABLES
    }


def some_rows(random: Random, count: int) -> list[Row]:
    found = []
    for offset in range(count):
        arm = random.choice(["stable", "candidate", "baseline", "shadow", None])
        kind = random.choice(["execution.completed"] * 4 + ["feedback.received"])
        found.append(
            row(
                offset,
                type=kind,
                disposition=random.choice(list(Disposition)),
                model=random.choice(["a", "b", None]) if kind.startswith("exec") else None,
                success=random.random() < 0.5,
                valid=random.random() < 0.8,
                arm=arm,
                rollout_id="r" if arm else None,
                session=f"s{random.randrange(count // 3)}",
                run_id=f"run-{offset}",
                trust=random.choice(["internal", "verified", "unknown"]),
                duration_ms=random.choice([None, 12.5]),
                feedback="edit" if kind.startswith("feed") else None,
                event_time=NOW + timedelta(seconds=random.randrange(100)),
            )
        )
    return found


def filled(folder: Path, batches: int = 8) -> tuple[DeltaLedgerReader, list[Row]]:
    tp = TopicPartition("execution.completed", 0)
    writer = DeltaLedgerWriter(folder / "ledger", "c")
    rows = some_rows(Random(1), batches * 30)
    for number in range(batches):
        writer.claim([tp])
        part = rows[number * 30 : (number + 1) * 30]
        writer.append(part, {tp: (number + 1) * 30})
        if number == batches // 2:
            open_table(folder / "ledger").optimize.compact()
    return DeltaLedgerReader(folder / "ledger"), rows


def test_counting_step_by_step_agrees_with_a_recount(tmp_path: Path) -> None:
    ledger, rows = filled(tmp_path)
    store = database(tmp_path)
    count = CountLedger(store, ledger, NoMeter())
    assert count() == 8
    assert count() == 0, "each commit counts once"
    stepwise = snapshot(store)
    count.recount()
    assert snapshot(store) == stepwise
    assert sum(store.read(counters.dispositions).values()) == len(rows)
    assert store.read(counters.offsets) == {"c:execution.completed:0": 240}


def test_a_commit_that_was_counted_is_refused(tmp_path: Path) -> None:
    store = database(tmp_path)
    rows = [row(0, model="m")._asdict()]
    assert store.write(lambda c: counters.apply(c, 3, rows, {}))
    assert not store.write(lambda c: counters.apply(c, 3, rows, {}))
    assert not store.write(lambda c: counters.apply(c, 2, rows, {}))
    assert store.read(lambda c: counters.examples(c, "default", "m")) == (1, 0)


def test_sessions_are_the_unit_and_mixed_ones_count_in_no_arm(tmp_path: Path) -> None:
    store = database(tmp_path)
    rollout = store.write(lambda c: canary(c, "1.0.0")).id

    def run(session: str, arm: str, *, success: bool, offset: int) -> dict[str, Any]:
        return row(
            offset,
            model="m",
            arm=arm,
            rollout_id=rollout,
            session=session,
            success=success,
            valid=True,
            trust="internal",
        )._asdict()

    rows = [
        run("one", "candidate", success=True, offset=0),
        run("one", "candidate", success=False, offset=1),
        run("two", "candidate", success=True, offset=2),
        run("mixed", "candidate", success=True, offset=3),
        run("mixed", "baseline", success=True, offset=4),
        run("two", "shadow", success=False, offset=5),
    ]
    for number, found in enumerate(rows):
        store.write(lambda c: counters.apply(c, number, [found], {}))
    success = store.read(lambda c: counters.arm_statistics(c, rollout))["success"]
    assert success["candidate"].n == 2
    assert success["candidate"].mean == 0.75, "a session's value is its mean over its runs"
    assert success["candidate"].squares == 1.25
    assert "baseline" not in success
    assert success["shadow"].n == 1, "the shadow answers sessions of other arms"
    assert store.read(lambda c: counters.mixed_units(c, rollout)) == 1


def test_recent_failures_count_by_event_time(tmp_path: Path) -> None:
    store = database(tmp_path)
    rows = [
        row(i, model="m", success=i % 2 == 0, event_time=NOW + timedelta(seconds=60 * i))._asdict()
        for i in range(10)
    ]
    store.write(lambda c: counters.apply(c, 0, rows, {}))
    since = NOW.timestamp() + 300
    assert store.read(lambda c: counters.recent(c, "default", "m", since)) == (5, 3)
    assert store.read(lambda c: counters.recent(c, "other", "m", since)) == (0, 0)
