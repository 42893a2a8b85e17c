"""Recomputes the demonstration's summary from Kafka, the ledger and the registry alone.

Written apart from the code that makes the report: plain aiokafka, plain Delta reading, plain SQL.
"""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer
from deltalake import DeltaTable

INPUTS = (
    "execution.completed",
    "planning.completed",
    "feedback.received",
    "telemetry.sampled",
    "gateway.adapter",
)


def records(bootstrap: str, *topics: str) -> list[Any]:
    """Every record of some topics."""

    async def read() -> list[Any]:
        consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=bootstrap,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[Any] = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for part in (await consumer.getmany(timeout_ms=500)).values():
                found += part
        await consumer.stop()
        return found

    return asyncio.run(read())


def lifecycle(bootstrap: str) -> list[dict[str, Any]]:
    """The lifecycle events in order."""
    return [
        {**{k: v.decode() for k, v in r.headers}, "data": json.loads(r.value)}
        for r in records(bootstrap, "model.lifecycle")
    ]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def wilson(k: int, n: int) -> tuple[float, float]:
    z = 1.959963984540054
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return centre - half, centre + half


def rate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    solved, n = sum(bool(row["success"]) for row in rows), len(rows)
    low, high = wilson(solved, n)
    return {"rate": solved / n, "low": low, "high": high, "n": n}


class Checker:
    """Looks at one demonstration that still runs."""

    def __init__(self, data: Path, bootstrap: str) -> None:
        self.data = data
        self.rows = DeltaTable(data / "ledger").to_pyarrow_table().to_pylist()
        self.events = lifecycle(bootstrap)
        self.received = len(records(bootstrap, *INPUTS))
        self.runs = sorted(
            (
                row
                for row in self.rows
                if row["type"] == "execution.completed"
                and row["arm"] != "shadow"
                and row["disposition"] in ("accepted", "review", "rejected")
            ),
            key=lambda row: row["event_time"],
        )

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["ce_type"] == kind]

    def converged(self, event: dict[str, Any]) -> datetime:
        decision = event["data"]["decision_id"]
        said = next(e for e in self.of("model.converged") if e["data"]["decision_id"] == decision)
        return moment(said["data"]["converged_at"])

    def dispositions(self) -> dict[str, int]:
        counts = dict.fromkeys(("accepted", "review", "rejected", "duplicate", "dead_letter"), 0)
        for row in self.rows:
            counts[row["disposition"]] += 1
        return counts

    def success_rates(self) -> dict[str, dict[str, Any]]:
        """The four phases, by what the events say."""
        first = self.runs[0]["tools_digest"]
        changed = next(r["event_time"] for r in self.runs if r["tools_digest"] != first)
        candidates = [moment(e["data"]["decided_at"]) for e in self.of("model.candidate")]
        promoted = self.of("model.promoted")[0]
        back = self.of("model.rolled_back")[0]
        served, stable = promoted["data"]["adapter_digest"], back["data"]["to"]["adapter_digest"]
        return {
            "before_drift": rate([r for r in self.runs if r["event_time"] < changed]),
            "after_drift": rate(
                [r for r in self.runs if changed <= r["event_time"] < candidates[0]]
            ),
            "after_promotion": rate(self.after_promotion(served)),
            "after_rollback": rate(
                [
                    r
                    for r in self.runs
                    if r["event_time"] >= self.converged(back) and r["adapter_digest"] == stable
                ]
            ),
        }

    def after_promotion(self, digest: str) -> list[dict[str, Any]]:
        """Runs by the promoted adapter until the second dataset's window begins."""
        since = self.converged(self.of("model.promoted")[0])
        manifest = (
            self.data / "objects" / "datasets" / self.datasets()[1]["digest"] / "manifest.json"
        )
        until = moment(json.loads(manifest.read_text())["recipe"]["since"])
        return [
            r
            for r in self.runs
            if since <= r["event_time"] < until and r["adapter_digest"] == digest
        ]

    def summary(self) -> dict[str, Any]:
        """The report without its duration."""
        return {
            "events": {"received": self.received, **self.dispositions()},
            "success_rate": self.success_rates(),
            "datasets": self.datasets(),
            "adapters": [
                {n: e["data"][n] for n in ("version", "adapter", "adapter_digest")}
                for e in self.of("model.candidate")
            ],
            "promoted": [
                {
                    **{n: e["data"][n] for n in ("version", "adapter", "adapter_digest")},
                    "event_id": e["ce_id"],
                }
                for e in self.of("model.promoted")
            ],
            "rolled_back": [
                {
                    "version": e["data"]["from"]["version"],
                    "to": e["data"]["to"]["version"],
                    "event_id": e["ce_id"],
                    "time_to_restore_s": (
                        self.converged(e) - moment(e["data"]["detected_at"])
                    ).total_seconds(),
                }
                for e in self.of("model.rolled_back")
            ],
        }

    def datasets(self) -> list[dict[str, Any]]:
        """From the registry, counted in the Parquet files themselves."""
        query = "SELECT version, digest FROM datasets ORDER BY created_at"
        found = []
        for version, digest in self.registry(query):
            held = [s for s in self.shards(digest) if s["kind"] == "examples"]
            rows = [n for s in held for n in pq.read_table(self.file(s))["row_id"].to_pylist()]
            decided = pq.read_table(self.folder(digest) / "index.parquet").to_pylist()
            assert [line["row_id"] for line in decided] == rows
            counts = {
                part: sum(line["split"] == part for line in decided)
                for part in ("train", "validation", "test")
            }
            found.append({"version": version, "digest": digest, **counts})
        return found

    def shards(self, digest: str) -> list[dict[str, Any]]:
        """What a manifest names."""
        manifest = json.loads((self.folder(digest) / "manifest.json").read_bytes())
        found: list[dict[str, Any]] = manifest["shards"]
        return found

    def folder(self, digest: str) -> Path:
        """Where a dataset lies."""
        return self.data / "objects" / "datasets" / digest

    def file(self, shard: dict[str, Any]) -> Path:
        """Where a shard lies."""
        return self.data / "objects" / "shards" / f"{shard['file']}.parquet"

    def registry(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the control database, read only."""
        with sqlite3.connect(f"file:{self.data / 'control.db'}?mode=ro", uri=True) as connection:
            return connection.execute(query).fetchall()

    def sealed_prompts(self) -> set[str]:
        """What was asked in every sealed example, every preference pair and every golden case."""
        prompts = set()
        for (digest,) in self.registry("SELECT digest FROM datasets"):
            for shard in self.shards(digest):
                table = pq.read_table(self.file(shard), columns=["messages"])
                for text in table["messages"].to_pylist():
                    prompts.add(json.loads(text)[0]["content"])
        for path in (self.data / "objects" / "golden").glob("*/cases.jsonl"):
            for line in path.read_text().splitlines():
                prompts.add(json.loads(line)["messages"][0]["content"])
        return prompts

    def live_prompts_after_promotion(self) -> list[str]:
        """What was asked after the promotion."""
        digest = self.of("model.promoted")[0]["data"]["adapter_digest"]
        return [
            json.loads(r["content"])["messages"][0]["content"] for r in self.after_promotion(digest)
        ]
