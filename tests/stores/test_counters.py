"""Counters advance from the ledger's log, once a commit; a full recount agrees."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, select

from operations.count_ledger import CountLedger
from schemas.records import TopicPartition
from schemas.rows import Disposition, Row
from schemas.telemetry import NoMeter
from stores.control import counters, gaps, tallies
from stores.control.database import Database
from stores.control.tables import metadata
from stores.ledger.compaction import compact
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.local import LocalPlace
from stores.ledger.port import Addition
from stores.ledger.retirement import Retirement, days_before
from stores.ledger.table import open_table
from stores.ledger.vacuum import checkpoint, trim_log, vacuum
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
    "ledger_gaps",
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
    assert counted(snapshot(store)) == counted(stepwise)
    assert sum(store.read(counters.dispositions).values()) == len(rows)
    assert store.read(counters.offsets) == {"c:execution.completed:0": 240}


def test_another_table_in_its_place_is_counted_anew(tmp_path: Path) -> None:
    """A ledger that was removed and filled again, or a backup: its versions are others."""
    ledger, rows = filled(tmp_path)
    store = database(tmp_path)
    CountLedger(store, ledger, NoMeter())()
    shutil.rmtree(tmp_path / "ledger")
    for batches in (12, 3):
        again, rows = filled(tmp_path, batches)
        CountLedger(store, again, NoMeter())()
        assert sum(store.read(counters.dispositions).values()) == len(rows)
        shutil.rmtree(tmp_path / "ledger")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_maintained_meanwhile_a_recount_agrees(tmp_path: Path, seed: int) -> None:
    """Random appends, gaps, compactions, retention and log expiry between random counts."""
    dice = Random(seed)
    place = LocalPlace(tmp_path / "ledger")
    reader, tps = (
        DeltaLedgerReader(place),
        [TopicPartition("execution.completed", n) for n in (0, 1)],
    )
    every, behind = (CountLedger(database(tmp_path / n), reader, NoMeter()) for n in ("a", "b"))
    made = 0
    for number in range(25):
        today = NOW.date() + timedelta(days=number // 5)
        writer = DeltaLedgerWriter(place, "c", today=lambda: today)
        start = writer.claim(tps)[tps[number % 2]] or 0
        if dice.random() < 0.1:
            note = {"accepted_by": "ann", "reason": "test"}
            writer.accept_gap(tps[number % 2], start + 3, anew=False, note=note)
            start += 3
        batch = some_rows(dice, 9)
        tp = tps[number % 2]
        writer.append(
            [r._replace(offset=start + r.offset, partition=tp.partition) for r in batch],
            {tp: start + 9},
        )
        made += 9
        every()
        if dice.random() < 0.2:
            behind()
        if dice.random() < 0.3:
            compact(place, 2, closed=today.isoformat())
        if dice.random() < 0.2:
            for day in days_before(place, today.isoformat()):
                old = Retirement(place, day)
                old.drop(tallies.frozen(tallies.tally(old.rows(tallies.COLUMNS))))
        if dice.random() < 0.2:
            checkpoint(place, 1)
            trim_log(place, reader.version(), keep=dice.randrange(5))
            vacuum(place, keep_seconds=-1)
    stepwise = snapshot(every._database)
    behind()
    assert counted(snapshot(behind._database)) == counted(stepwise), "some commits had expired"
    every.recount()
    assert counted(snapshot(every._database)) == counted(stepwise)
    assert sum(every._database.read(counters.dispositions).values()) == made
    assert every._database.read(counters.offsets) == reader.offsets()


def counted(tables: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Without versions: a recount stands at the newest, a count at the newest that changed a row."""
    gaps = [gap[:-1] for gap in tables["ledger_gaps"]]
    return {**tables, "ledger_cursor": [], "ledger_gaps": gaps}


def test_a_recount_and_a_count_at_the_same_time_count_each_commit_once(tmp_path: Path) -> None:
    """The recount moves the cursor under a count that has read ahead of it."""
    ledger, rows = filled(tmp_path)
    store = database(tmp_path)
    count = CountLedger(store, ledger, NoMeter())
    additions = list(ledger.additions(-1, tallies.COLUMNS))
    assert store.write(lambda c: apply(c, additions[0], -1))
    assert store.write(lambda c: apply(c, additions[1], additions[0].version))
    store.write(lambda c: counters.replace(c, 1, tallies.tally(additions[0].rows), {}))
    assert not store.write(lambda c: apply(c, additions[2], additions[1].version))
    count()
    assert sum(store.read(counters.dispositions).values()) == len(rows)


def apply(connection: Connection, found: Addition, since: int) -> bool:
    return counters.apply(connection, found.version, found.rows, found.offsets, since)


def test_gaps_are_copied_and_survive_recounts(tmp_path: Path) -> None:
    ledger, _ = filled(tmp_path)
    store = database(tmp_path)
    count = CountLedger(store, ledger, NoMeter())
    tp = TopicPartition("execution.completed", 0)
    writer = DeltaLedgerWriter(tmp_path / "ledger", "c")
    writer.claim([tp])
    note = {"accepted_by": "ann", "accepted_at": "2026-03-01T12:00:00+00:00", "reason": "lost"}
    writer.accept_gap(tp, 300, anew=False, note=note)
    writer.accept_gap(tp, 5, anew=True, note=note)
    count()
    found = store.read(gaps.accepted)
    assert [(g.incarnation, g.start, g.end, g.version) for g in found] == [
        (0, 240, 300, 10),
        (1, 0, 5, 11),
    ]
    assert (found[0].accepted_by, found[0].accepted_at, found[0].reason) == ("ann", NOW, "lost")
    count.recount()
    assert store.read(gaps.accepted) == found
    assert [(g.start, g.end) for g in ledger.gaps()] == [(240, 300), (0, 5)]


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
