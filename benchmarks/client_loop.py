"""A bare aiokafka `getmany` loop: `read` only reads (the ceiling), `validate` also validates."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

from benchmarks.job import Job, Stopwatch, say
from schemas.events import STRUCTURED

_RECORDS = 500


async def _loop(job: Job) -> None:
    consumer = AIOKafkaConsumer(
        job.topic,
        bootstrap_servers=job.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    ids: list[str] = []
    watch, rows = Stopwatch(), 0
    check = STRUCTURED.validate_json if job.variant == "validate" else None
    watch.start()
    while rows < job.total:
        for records in (await consumer.getmany(timeout_ms=100, max_records=_RECORDS)).values():
            rows += len(records)
            if check is not None:
                for record in records:
                    ids.append(check(record.value).id)  # noqa: PERF401 - the model is dropped at once
        watch.lap()
    await consumer.stop()
    said = f"getmany(max_records={_RECORDS}), read_committed, no commits"
    say(rows, ids if check else None, watch, said, "aiokafka", "pydantic")


if __name__ == "__main__":
    asyncio.run(_loop(Job.told()))
