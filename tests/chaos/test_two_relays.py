"""Two relays at a time, a topic made anew, a mark that fails: each event is on the topic once all the same."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumers.kafka import KafkaPublishedEvents
from operations.relay_outbox import RelayOutbox
from producers.connection import KafkaConnection
from producers.kafka import ExclusiveKafkaProducer
from producers.port import Fenced, Outgoing
from schemas.events import LIFECYCLE_TOPIC
from schemas.telemetry import NoMeter
from service.demo.lifecycle import lifecycle_events
from stores.control import outbox
from stores.control.database import Database
from tests.demo import checker
from tests.installation import NOW, database
from tests.processes import wait_for

pytestmark = pytest.mark.kafka


class Dies(BaseException):
    """Where a process would have died."""


def relay_process(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.chaos.relay_process", *arguments])


def stopped(process: subprocess.Popen[bytes]) -> bool:
    stat = Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0] == "T"


def add(store: Database, decision: str) -> None:
    store.write(
        lambda c: outbox.add(
            c,
            NOW,
            type="model.promoted",
            tenant="t",
            model="m",
            decision_id=decision,
            payload={"version": decision},
        )
    )


def relay_of(
    store: Database,
    producer: ExclusiveKafkaProducer,
    broker: str,
    prefix: str,
    fault: Callable[[str], None],
) -> RelayOutbox:
    async def thread(work: Callable[[], Any]) -> Any:
        return work()

    owner, published = uuid.uuid4().hex, KafkaPublishedEvents(KafkaConnection(broker))
    return RelayOutbox(
        store, producer, published, thread, owner, prefix, NoMeter(), fault, lease_seconds=0.1
    )


def now() -> datetime:
    return datetime.now(UTC)


def test_a_relay_that_slept_past_its_lease_publishes_nothing_more(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    arguments = (str(tmp_path), broker, prefix)
    late = relay_process(*arguments, "--promote", "1.0.0", "--stop-after", "recovered")
    second = None
    try:
        wait_for(lambda: stopped(late), "its sleep", 30)
        assert relay_process(*arguments).wait(60) == 0, "the successor"
        assert len(lifecycle_events(KafkaConnection(broker), prefix)) == 4
        second = relay_process(*arguments, "--promote", "1.1.0", "--stop-after", "leased")
        wait_for(lambda: stopped(second), "something to publish when the first one wakes", 30)
        late.send_signal(signal.SIGCONT)
        assert late.wait(60) == 0, "it steps back, and takes over once the lease is free"
    finally:
        for process in (late, second):
            if process is not None:
                process.kill()
                process.wait()
    events = lifecycle_events(KafkaConnection(broker), prefix)
    assert Counter(Counter(e["id"] for e in events).values()) == {1: 8}
    promoted = [e["data"]["version"] for e in events if e["type"] == "model.promoted"]
    assert promoted == ["1.0.0", "1.1.0"]
    assert len(checker.records(broker, f"{prefix}{LIFECYCLE_TOPIC}")) == 8


def test_what_a_predecessor_left_open_is_undone_and_it_is_fenced(broker: str, prefix: str) -> None:
    topic = f"{prefix}{LIFECYCLE_TOPIC}"

    def event(number: int) -> Outgoing:
        return Outgoing(
            topic=topic, key="t/m", id=f"e{number}", source="s", type="x", time=NOW, data={}
        )

    async def main() -> None:
        reader = KafkaPublishedEvents(KafkaConnection(broker))
        first, second = (
            ExclusiveKafkaProducer(KafkaConnection(broker), f"{prefix}relay") for _ in range(2)
        )
        with pytest.raises(Fenced):
            await first.send([event(0)])
        await first.take_over()
        await first.send([event(0)])
        inner = first._producer
        assert inner is not None
        await inner.begin_transaction()
        await (await inner.send(topic, value=b"{}", headers=[("ce_id", b"open")]))
        await second.take_over()
        found = await reader.read(topic, {})
        assert found.ids == {"e0"}
        assert found.next_offsets == {0: 4}, "two records, two markers"
        assert await second.send([event(1), event(2)]) == {(topic, 0): 6}
        assert (await reader.read(topic, {0: 4})).ids == {"e1", "e2"}
        assert (await reader.read(topic, {0: 6})).ids == set(), "a marker is nothing to wait for"
        earlier = await reader.read(topic, {0: 500})
        assert earlier.ids == {"e0", "e1", "e2"}, "that position was of another topic"
        await inner.stop()
        await second.stop()

    asyncio.run(main())


def test_a_producer_that_was_overtaken_publishes_nothing(broker: str, prefix: str) -> None:
    topic = f"{prefix}{LIFECYCLE_TOPIC}"
    event = Outgoing(topic=topic, key="k", id="e", source="s", type="x", time=NOW, data={})

    async def main() -> None:
        first, second = (
            ExclusiveKafkaProducer(KafkaConnection(broker), f"{prefix}relay") for _ in range(2)
        )
        await first.take_over()
        await second.take_over()
        for _ in range(2):
            with pytest.raises(Fenced):
                await first.send([event])
        assert await second.send([event]) == {(topic, 0): 1}
        await second.stop()

    asyncio.run(main())
    assert [e["id"] for e in lifecycle_events(KafkaConnection(broker), prefix)] == ["e"]


def test_a_position_of_an_earlier_topic_hides_nothing(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    store = database(tmp_path)
    store.write(lambda c: outbox.confirm(c, LIFECYCLE_TOPIC, {0: 500}))
    add(store, "d1")

    def die(step: str) -> None:
        if step == "sent":
            raise Dies

    async def main() -> None:
        producer = ExclusiveKafkaProducer(KafkaConnection(broker), f"{prefix}lorikeet.relay")
        with pytest.raises(Dies):
            await relay_of(store, producer, broker, prefix, die)(now)
        await asyncio.sleep(0.2)
        await relay_of(store, producer, broker, prefix, lambda _step: None)(now)
        await producer.stop()

    asyncio.run(main())
    assert store.read(outbox.pending) == []
    assert len(lifecycle_events(KafkaConnection(broker), prefix)) == 1
    assert store.read(lambda c: outbox.positions(c, LIFECYCLE_TOPIC)) == {0: 2}


def test_what_was_sent_but_could_not_be_marked_is_not_sent_again(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    store = database(tmp_path)
    add(store, "d1")
    failures = ["the database is locked"]

    def fail_once(step: str) -> None:
        if step == "sent" and failures:
            raise OSError(failures.pop())

    async def main() -> None:
        producer = ExclusiveKafkaProducer(KafkaConnection(broker), f"{prefix}lorikeet.relay")
        relay = relay_of(store, producer, broker, prefix, fail_once)
        with pytest.raises(OSError, match="locked"):
            await relay(now)
        await relay(now)
        add(store, "d2")
        assert await relay(now) == 1
        await producer.stop()

    asyncio.run(main())
    assert store.read(outbox.pending) == []
    assert [e["data"]["version"] for e in lifecycle_events(KafkaConnection(broker), prefix)] == [
        "d1",
        "d2",
    ]
