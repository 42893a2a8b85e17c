"""Quix Streams: `validate` only validates, `sink` also writes its local file sink, as Parquet.

Runs in its own environment (`benchmarks/quix.txt`) with this project's pydantic and pyarrow.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from quixstreams import Application
from quixstreams.sinks.community.file.local import LocalFileSink

from benchmarks.job import Job, Stopwatch, say
from schemas.events import STRUCTURED

_IDLE_SECONDS = 60.0


class _Sink(LocalFileSink):  # type: ignore[misc]
    """Quix's sink; the watch stops when its last file is written."""

    def __init__(self, directory: Path, watch: Stopwatch) -> None:
        super().__init__(directory=str(directory), format="parquet")
        self._watch = watch

    def write(self, batch: Any) -> None:
        super().write(batch)
        self._watch.lap()


def _stream(job: Job) -> None:
    app = Application(
        broker_address=job.bootstrap,
        consumer_group=f"benchmark-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        loglevel="ERROR",
    )
    ids: list[str] = []
    watch, folder = Stopwatch(), Path("sink")  # a relative one: the sink refuses most letters
    os.chdir(job.folder)

    def validate(value: bytes) -> dict[str, Any]:
        if not watch.running:
            watch.start()
        event = STRUCTURED.validate_json(value)
        ids.append(event.id)
        if len(ids) == job.total:
            watch.lap()
            app.stop()  # its last checkpoint follows, and with it the sink's last files
        return {"id": event.id, "source": event.source, "type": event.type, "content": value}

    frame = app.dataframe(app.topic(job.topic, value_deserializer="bytes")).apply(validate)
    if job.variant == "sink":
        frame.sink(_Sink(folder, watch))
    app.run(timeout=_IDLE_SECONDS, collect=False)
    _result(job, ids, watch, folder)


def _result(job: Job, ids: list[str], watch: Stopwatch, folder: Path) -> None:
    kept = ids
    said = "apply, bytes deserializer, checkpoint every 5 s (default)"
    if job.variant == "sink":
        files = sorted(folder.rglob("*.parquet"))
        kept = [i for file in files for i in pq.read_table(file, columns=["id"])["id"].to_pylist()]
        said += f", local file sink, parquet (snappy), {len(files)} files, no fsync"
    say(len(kept), kept, watch, said, "quixstreams", "confluent-kafka", "pydantic", "pyarrow")


if __name__ == "__main__":
    _stream(Job.told())
