"""Ingest's gauges: lag in records and seconds, and what is held in memory."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from aiokafka import TopicPartition as KafkaPartition

from consumers.assignment import Assignment
from consumers.flush import Flusher, Waiting
from schemas.telemetry import Meter, Metric


def report(
    meter: Meter, consumer: Any, assignment: Assignment, waiting: Waiting, flusher: Flusher
) -> None:
    """Set them; `consumer` is aiokafka's. A topic of which nothing is held any more has no lag here."""
    now = time.time()
    behind: dict[str, int] = defaultdict(int)
    age: dict[str, float] = defaultdict(float)
    uncommitted = waiting.offsets.keys() | flusher.waiting.offsets.keys()
    for tp, progress in assignment.reading.items():
        end = consumer.highwater(KafkaPartition(*tp))
        ahead = max((end or 0) - progress.next_offset, 0)
        behind[tp.topic] += ahead
        if ahead == 0 and tp not in uncommitted:
            progress.caught_up = now
        since = max(progress.caught_up, progress.last_record)
        age[tp.topic] = max(age[tp.topic], 0.0 if progress.caught_up == now else now - since)
    for held in (waiting, flusher.waiting):
        for row in held.rows:
            behind[row.topic] += 1
    for topic, records in behind.items():
        meter.set(Metric.INGEST_LAG, records, topic=topic)
        meter.set(Metric.INGEST_LAG_SECONDS, age[topic], topic=topic)
    meter.set(Metric.BUFFER_BYTES, waiting.size + flusher.waiting.size)
    last = max((p.last_record for p in assignment.reading.values()), default=0.0)
    if last:
        meter.set(Metric.LAST_RECORD, last)
