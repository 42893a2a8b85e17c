"""A sink that stalls, a sink that fails for a while, a topic that turns bad: on a real broker."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from consumers.settings import DeadLetterSettings
from producers.port import Raw
from schemas.errors import Code, Halted, NotReady
from schemas.records import TopicPartition
from schemas.rows import Row
from schemas.telemetry import Metric
from service.metrics import PrometheusMeter
from stores.ledger.delta import DeltaLedgerReader
from tests.consumers_support import QUICK, built, ingest, publish, read_all, rows_of, structured
from tests.support import execution

pytestmark = pytest.mark.kafka


def value(meter: PrometheusMeter, metric: Metric, **labels: str) -> float | None:
    return meter.registry.get_sample_value(metric.spec.name, labels)


def test_a_stalled_sink_pauses_the_partitions_and_memory_stays_bounded(
    tmp_path: Path, broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than the session: the member stays in its group all the same."""
    topic, meter = f"{prefix}execution.completed", PrometheusMeter("test")
    settings = QUICK.model_copy(update={"flush_rows": 100, "poll_records": 50})
    go_on = threading.Event()
    held: list[int] = []

    async def main() -> list[Row]:
        events = [structured("execution.completed", execution()) for _ in range(2_000)]
        await publish(broker, topic, events)
        loop = await built(broker, prefix, tmp_path, settings, meter=meter)
        commit = loop._batch.commit

        def stalled(rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
            if rows:
                go_on.wait(30)
            commit(rows, offsets)

        monkeypatch.setattr(loop._batch, "commit", stalled)
        stop = asyncio.Event()
        running = asyncio.create_task(loop.run(stop))
        for _ in range(90):
            await asyncio.sleep(0.1)
            held.append(len(loop._waiting.rows) + len(loop._flusher.waiting.rows))
        assert value(meter, Metric.PAUSED_PARTITIONS) == 10
        assert value(meter, Metric.BUFFER_BYTES)
        go_on.set()
        rows = await rows_of(tmp_path, 2_000)
        stop.set()
        await running
        return rows

    rows = asyncio.run(main())
    assert Counter(Counter(row.offset for row in rows).values()) == {1: 2_000}
    assert 150 <= max(held) <= 250, "one batch or the first poll under way, one decided, and a poll"
    assert value(meter, Metric.PAUSED_PARTITIONS) == 0
    assert value(meter, Metric.REBALANCES) == 1


def test_what_cannot_be_published_now_is_tried_again_and_never_overtaken(
    tmp_path: Path, broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic, meter = f"{prefix}execution.completed", PrometheusMeter("test")
    tries: list[int] = []

    async def main() -> list[Row]:
        await publish(broker, topic, [(b"{not json", ())])
        loop = await built(broker, prefix, tmp_path, meter=meter)
        assert loop._flusher._dead_letters is not None
        send_raw = loop._flusher._dead_letters._producer.send_raw

        async def fails_twice(records: Sequence[Raw]) -> None:
            tries.append(len(list(DeltaLedgerReader(tmp_path).rows())))
            if len(tries) < 3:
                raise NotReady(Code.PUBLISH_FAILED, "the broker is being moved")
            await send_raw(records)

        monkeypatch.setattr(loop._flusher._dead_letters._producer, "send_raw", fails_twice)
        stop = asyncio.Event()
        running = asyncio.create_task(loop.run(stop))
        await asyncio.sleep(1)
        await publish(broker, topic, [structured("execution.completed", execution())])
        rows = await rows_of(tmp_path, 2)
        stop.set()
        await running
        return rows

    rows = asyncio.run(main())
    assert sorted(str(row.disposition) for row in rows) == ["accepted", "dead_letter"]
    assert tries == [0, 0, 0], "nothing is committed before its dead letters are kept"
    failures = "lorikeet_ingest_commit_failures_total"
    assert meter.registry.get_sample_value(failures, {"code": "E7803"}) == 2
    dead = meter.registry.get_sample_value(
        "lorikeet_dead_letters_total", {"code": "E7001", "stage": "VALUE_CONVERTER"}
    )
    assert dead == 1


def test_a_topic_that_turned_bad_stops_ingest_before_it_is_eaten(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    topic = f"{prefix}execution.completed"
    limits = DeadLetterSettings(limit=0.5, window=200, stop=True)
    guarded = QUICK.model_copy(update={"dead_letters": limits, "poll_records": 50})

    async def main() -> None:
        good = [structured("execution.completed", execution()) for _ in range(300)]
        foreign = [structured("com.acme.other", {"a": 1}) for _ in range(300)]
        await publish(broker, topic, [*good, *foreign, *[(b"{not json", ())] * 1_000])
        await ingest(broker, prefix, tmp_path, 1_600, guarded)

    with pytest.raises(Halted) as caught:
        asyncio.run(main())
    assert caught.value.code is Code.TOO_MANY_DEAD_LETTERS
    found = Counter(str(row.disposition) for row in DeltaLedgerReader(tmp_path).rows())
    assert found["rejected"] + found["accepted"] <= 600
    assert found["dead_letter"] < 250, "the rest is read again once the cause is mended"


def test_without_the_order_to_stop_a_bad_topic_only_raises_the_metric(
    tmp_path: Path, broker: str, prefix: str
) -> None:
    topic, meter = f"{prefix}execution.completed", PrometheusMeter("test")

    async def main() -> list[Row]:
        await publish(broker, topic, [(b"{not json", ())] * 150)
        rows = await ingest(broker, prefix, tmp_path, 150, meter=meter)
        await read_all(broker, f"{prefix}lorikeet.dead-letter", 150)
        return rows

    assert len(asyncio.run(main())) == 150
    assert value(meter, Metric.DEAD_LETTER_SHARE) == 1.0
