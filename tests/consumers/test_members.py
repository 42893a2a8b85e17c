"""Members of one group: partitions move between them without a loss, a repeat, or needless moves."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consumers.ingest import IngestLoop
from schemas.rows import Row
from stores.ledger.delta import DeltaLedgerReader
from tests.consumers_support import QUICK, built, publish, rows_of, structured
from tests.support import execution

pytestmark = pytest.mark.kafka


@dataclass
class Member:
    """A loop that can be stopped and started again under its name."""

    broker: str
    prefix: str
    ledger: Path
    name: str | None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    loop: IngestLoop | None = None
    task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        settings = QUICK.model_copy(update={"member_id": self.name, "flush_seconds": 0.2})
        self.stop = asyncio.Event()
        self.loop = await built(self.broker, self.prefix, self.ledger, settings)
        self.task = asyncio.create_task(self.loop.run(self.stop))

    async def end(self) -> None:
        self.stop.set()
        assert self.task is not None
        await self.task

    @property
    def held(self) -> set[tuple[str, int]]:
        assert self.loop is not None
        return set(self.loop._assignment.reading) if self.loop._assignment else set()


async def settled(members: list[Member], partitions: int = 10) -> list[set[tuple[str, int]]]:
    """What each holds, once together they hold everything, each partition once."""
    for _ in range(300):
        held = [member.held for member in members]
        if sum(map(len, held)) == partitions and all(held):
            return held
        await asyncio.sleep(0.1)
    raise AssertionError(f"not settled: {held}")


@contextmanager
def flowing(broker: str, topic: str) -> Iterator[list[int]]:
    """Events while the block runs; the list holds how many were acknowledged."""
    sent, over = [0], asyncio.Event()

    async def publish_on() -> None:
        while not over.is_set():
            for partition in range(2):
                events = [structured("execution.completed", execution()) for _ in range(20)]
                await publish(broker, topic, events, partition)
                sent[0] += 20
            await asyncio.sleep(0.05)

    task = asyncio.ensure_future(publish_on())
    try:
        yield sent
    finally:
        over.set()
        sent.append(0)
        del task


def once_each(rows: list[Row], count: int) -> None:
    places = Counter((row.partition, row.offset) for row in rows)
    assert len(places) == count
    assert set(places.values()) == {1}


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_five_rounds_of_restarts_over_all_members(
    static: bool,  # noqa: FBT001 - pytest's
    tmp_path: Path,
    broker: str,
    prefix: str,
) -> None:
    topic = f"{prefix}execution.completed"
    count = 3

    async def main() -> tuple[int, list[Row], int]:
        names = [f"member-{n}" if static else None for n in range(count)]
        members = [Member(broker, prefix, tmp_path, name) for name in names]
        for member in members:
            await member.start()
        before = await settled(members)
        moved = 0
        with flowing(broker, topic) as sent:
            for _ in range(5):
                for member in members:
                    await member.end()
                    await member.start()
                after = await settled(members)
                moved += sum(old != new for old, new in zip(before, after, strict=True))
                before = after
        await asyncio.sleep(0.5)
        rows = await rows_of(tmp_path, sent[0], 60)
        for member in members:
            await member.end()
        return sent[0], rows, moved

    sent, rows, moved = asyncio.run(main())
    print(f"{sent} events, partitions moved in {moved} of {5 * count} restarts")
    once_each(rows, sent)
    if static:
        assert moved == 0, "a static member has its own partitions back"


def test_what_is_decided_is_committed_when_partitions_move(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    """Flushing is not due for a minute; the second member's arrival makes the first one commit."""
    topic = f"{prefix}execution.completed"
    slow = QUICK.model_copy(update={"flush_seconds": 60.0})

    async def main() -> tuple[int, float]:
        first, second = [await built(broker, prefix, tmp_path, slow) for _ in range(2)]
        stop = asyncio.Event()
        running = [asyncio.create_task(first.run(stop))]
        await publish(broker, topic, [structured("execution.completed", execution())])
        assert len(await rows_of(tmp_path, 1, 10)) == 1, "the first batch is committed at once"
        await publish(broker, topic, [structured("execution.completed", execution())])
        while not first._waiting.rows:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0.05)
        assert len(list(DeltaLedgerReader(tmp_path).rows())) == 1
        began = time.monotonic()
        running.append(asyncio.create_task(second.run(stop)))
        rows = await rows_of(tmp_path, 2, 10)
        took = time.monotonic() - began
        stop.set()
        await asyncio.gather(*running)
        return len(rows), took

    rows, took = asyncio.run(main())
    assert rows == 2
    assert took < 5
