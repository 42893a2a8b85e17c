"""Ingest's gauges: lag in records and seconds, and what is held in memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition as KafkaPartition

from consumers.assignment import Assignment
from consumers.flush import Waiting
from schemas.telemetry import Meter, Metric


def report(
    meter: Meter,
    topics: Sequence[str],
    consumer: Any,
    assignment: Assignment,
    uncommitted: Sequence[Waiting],
) -> None:
    """Set them; `consumer` is aiokafka's. A topic of which nothing is held (any more) has no lag here."""
    now = time.time()
    behind = dict.fromkeys(topics, 0)
    age = dict.fromkeys(topics, 0.0)
    moving = {tp for waiting in uncommitted for tp in waiting.offsets}
    for tp, progress in assignment.reading.items():
        end = consumer.highwater(KafkaPartition(*tp))
        ahead = max((end or 0) - progress.next_offset, 0)
        behind[tp.topic] += ahead
        if ahead == 0 and tp not in moving:
            progress.caught_up = now
        since = max(progress.caught_up, progress.last_record)
        age[tp.topic] = max(age[tp.topic], 0.0 if progress.caught_up == now else now - since)
    for topic, rows in Counter(row.topic for held in uncommitted for row in held.rows).items():
        behind[topic] += rows
    for topic, records in behind.items():
        meter.set(Metric.INGEST_LAG, records, topic=topic)
        meter.set(Metric.INGEST_LAG_SECONDS, age[topic], topic=topic)
    meter.set(Metric.BUFFER_BYTES, sum(held.size for held in uncommitted))
    last = max((p.last_record for p in assignment.reading.values()), default=0.0)
    if last:
        meter.set(Metric.LAST_RECORD, last)
