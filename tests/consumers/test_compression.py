"""Whatever codec a producer compresses with, its records are read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from schemas.rows import Disposition
from tests.consumers_support import ingest, publish, structured
from tests.support import execution

CODECS = ("gzip", "lz4", "zstd", "snappy")


@pytest.mark.kafka
def test_records_of_every_codec_are_read(tmp_path: Path, broker: str, prefix: str) -> None:
    topic = f"{prefix}execution.completed"

    async def run() -> list[str | None]:
        for codec in CODECS:
            # Much of the same: a batch that does not shrink is sent as it is.
            data = execution(phase="much of the same " * 50)
            named = {"source": f"urn:{codec}"}
            events = [structured("execution.completed", data, **named) for _ in range(20)]
            await publish(broker, topic, events, compression_type=codec, linger_ms=50)
        rows = await ingest(broker, prefix, tmp_path / "ledger", until=20 * len(CODECS))
        assert {row.disposition for row in rows} == {Disposition.ACCEPTED}
        return [row.source for row in rows]

    assert asyncio.run(run()) == [f"urn:{codec}" for codec in CODECS for _ in range(20)]
