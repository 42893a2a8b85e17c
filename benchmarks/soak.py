"""`make soak`: half an hour at 1,000 events a second. Memory must not grow, latency must stay low."""

from __future__ import annotations

import argparse
import asyncio
import logging
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import track

from benchmarks import svg
from benchmarks.bed import PARTITIONS, PREFIX
from benchmarks.cores import machine
from benchmarks.durability import DeltaLog, Latencies, buckets, quantile
from benchmarks.steady import Steady
from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from service.broker import EmbeddedBroker
from service.settings import load
from tests.processes import end, listening, start, wait_for, write_config

HERE = Path(__file__).parent
FULL_MINUTES, RATE, WARM_UP = 30.0, 1000, 120.0
MAX_GROWTH, MAX_P99 = 50.0, 2.0
_EVERY = 10


@dataclass(slots=True)
class Samples:
    """What was seen: (seconds, MiB) of resident memory, (seconds, s) of the latency of ten seconds.

    `warm`: from when it counts. `own`: p50 and p99 by ingest's own histogram, if it has one.
    """

    warm: float
    memory: dict[str, list[svg.Point]] = field(
        default_factory=lambda: {"ingest": [], "control": []}
    )
    half: list[svg.Point] = field(default_factory=list)
    most: list[svg.Point] = field(default_factory=list)
    latencies: Latencies = field(default_factory=Latencies)
    own: tuple[float | None, float | None] = (None, None)
    rows: int = 0

    def growth(self) -> float:
        """MiB: the highest of ingest's resident memory less what it had at the end of the warm-up."""
        settled = [mib for at, mib in self.memory["ingest"] if at >= self.warm]
        return max(settled) - settled[0]

    def take(self, at: float, log: DeltaLog) -> None:
        """Read the commits of the last seconds."""
        new = log.follow()
        self.rows += sum(len(commit.latencies) for commit in new)
        if new:
            seconds = np.concatenate([commit.latencies for commit in new]) / 1000
            self.half.append((at, float(np.quantile(seconds, 0.5))))
            self.most.append((at, float(np.quantile(seconds, 0.99))))
        if at > self.warm:
            for commit in new:
                self.latencies.add(commit.latencies)


@contextmanager
def installation(folder: Path) -> Iterator[tuple[str, int, dict[str, subprocess.Popen[bytes]]]]:
    """Broker, ingest, and the control worker, which maintains the ledger as in production.

    Gives the broker's address, the port of ingest's metrics, and the processes by name.
    """
    broker = EmbeddedBroker(folder / "broker")
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        bootstrap = broker.start()
        asyncio.run(create_topics(KafkaConnection(bootstrap), PREFIX, PARTITIONS))
        config = write_config(
            folder, bootstrap, kafka={"prefix": PREFIX}, ingest={"group": f"{PREFIX}soak"}
        )
        for name in ("ingest", "control"):
            running[name] = start(name, "--config", str(config), log=folder / f"{name}.log")
        port = load(config).metrics.ingest
        wait_for(lambda: listening(port), "ingest starts")
        yield bootstrap, port, running
    finally:
        end(*running.values())
        broker.stop()


def soak(folder: Path, minutes: float, rate: int, console: Console) -> tuple[Samples, int]:
    """Publish, and look every second; the samples, and how many events were published."""
    samples = Samples(warm=min(WARM_UP, minutes * 15))
    with installation(folder) as (bootstrap, port, running):
        log = DeltaLog(folder / "data" / "ledger")
        steady, began = Steady(bootstrap, rate), time.monotonic()
        steady.start()
        before: dict[float, float] = {}
        for second in track(range(1, int(minutes * 60) + 1), "soaking", console=console):
            time.sleep(max(0.0, began + second - time.monotonic()))
            for name, process in running.items():
                if process.poll() is not None:
                    raise SystemExit(f"{name} ended: see {folder / name}.log")
                samples.memory[name].append((second, _resident(process.pid)))
            if second % _EVERY == 0:
                samples.take(second, log)
            if second == int(samples.warm):
                before = buckets(port)
        after = buckets(port)
        samples.own = quantile(before, after, 0.5), quantile(before, after, 0.99)
        steady.stop()
        wait_for(lambda: _rest(samples, log) >= steady.sent, "ingest has everything", 120)
        return samples, steady.sent


def _rest(samples: Samples, log: DeltaLog) -> int:
    samples.rows += sum(len(commit.latencies) for commit in log.follow())
    return samples.rows


def _resident(process: int) -> float:
    """MiB of resident memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def markdown(samples: Samples, sent: int, minutes: float, rate: int, facts: dict[str, str]) -> str:
    """The page."""
    p99, growth = samples.latencies.quantile(0.99), samples.growth()
    own = "–" if samples.own[1] is None else f"{samples.own[1]:.2f} s"
    half = "–" if samples.own[0] is None else f"{samples.own[0]:.2f} s"
    said = "; ".join(f"{name} {value}" for name, value in facts.items())
    peaks = {name: max(mib for _, mib in mine) for name, mine in samples.memory.items()}
    rows = [
        ("resident memory of ingest grows", "≤ 50 MiB", f"{growth:.1f} MiB", growth <= MAX_GROWTH),
        ("event to durable, p99, from the Delta log", "≤ 2 s", f"{p99:.2f} s", p99 <= MAX_P99),
        ("event to durable, p99, ingest's histogram (a commit's oldest)", "≤ 2 s", own, None),
        (
            "event to durable, p50, from the Delta log",
            "",
            f"{samples.latencies.quantile(0.5):.2f} s",
            None,
        ),
        ("event to durable, p50, ingest's histogram (a commit's oldest)", "", half, None),
        (
            "events published and rows in the ledger",
            "equal",
            f"{sent:,}, {samples.rows:,}",
            sent == samples.rows,
        ),
        (
            "highest resident memory, ingest and control",
            "",
            f"{peaks['ingest']:.0f}, {peaks['control']:.0f} MiB",
            None,
        ),
    ]
    marks = {True: "met", False: "**missed**", None: ""}
    return "\n".join(
        [
            "# Soak",
            "",
            f"Made by `make soak` on {datetime.now(UTC).date().isoformat()}: {minutes:g} minutes at {rate:,}",
            f"events/s. Figures are from after the first {samples.warm:.0f} seconds on. Latency is the time from",
            "Kafka's timestamp to the commit.",
            "",
            "| | goal | seen | |",
            "|---|--:|--:|---|",
            *[f"| {name} | {goal} | {seen} | {marks[met]} |" for name, goal, seen, met in rows],
            "",
            "![memory and latency over time](soak.svg)",
            "",
            f"Machine: {said}.",
            "",
        ]
    )


def picture(samples: Samples) -> str:
    """Memory and latency over time."""
    memory = [(name, _thin(mine)) for name, mine in samples.memory.items()]
    latency = [("p50", samples.half), ("p99", samples.most)]
    return svg.lines([("Resident memory, MiB", memory), ("Event to durable, seconds", latency)])


def _thin(points: list[svg.Point]) -> list[svg.Point]:
    return points[:: max(1, len(points) // 400)]


def main() -> None:
    """Soak; write the page after a full run; exit code 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=FULL_MINUTES, help="how long")
    parser.add_argument("--rate", type=int, default=RATE, help="events a second")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="lorikeet-soak-") as name:
        samples, sent = soak(Path(name), options.minutes, options.rate, console)
        page = markdown(samples, sent, options.minutes, options.rate, machine(Path(name)))
    console.print(Markdown(page))
    if options.minutes >= FULL_MINUTES:
        (HERE / "soak.md").write_text(page)
        (HERE / "soak.svg").write_text(picture(samples))
    else:
        console.print("A quick look: benchmarks/ is written by full runs only.")
    raise SystemExit("missed" in page)


if __name__ == "__main__":
    main()
