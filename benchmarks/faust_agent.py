"""A Faust agent that only validates."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import faust

from benchmarks.job import Job, Stopwatch, say
from schemas.events import STRUCTURED


async def _agent(job: Job) -> None:
    app = faust.App(
        f"benchmark-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{job.bootstrap}",
        datadir=job.folder,
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        worker_redirect_stdouts=False,
    )
    topic = app.topic(job.topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    ids: list[str] = []
    watch, done = Stopwatch(), asyncio.Event()

    async def validate(stream: Any) -> None:
        async for value in stream:
            if not watch.running:
                watch.start()
            ids.append(STRUCTURED.validate_json(value).id)
            if len(ids) == job.total:
                watch.lap()
                done.set()

    app.agent(topic, name="validate")(validate)
    app.finalize()
    await app.start()
    await done.wait()
    said = "agent, async for, value_serializer raw, store memory, its own commits"
    say(len(ids), ids, watch, said, "faust-streaming", "aiokafka", "pydantic")
    await app.stop()


if __name__ == "__main__":
    asyncio.run(_agent(Job.told()))
