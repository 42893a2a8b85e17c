"""What the story is played on: a broker, a model behind a gateway, Lorikeet's processes, customers.

Whatever is said about the run is read back from Kafka, the ledger and the control database.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx

from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from schemas.datasets import Manifest
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobState
from schemas.telemetry import NoMeter
from service.broker import EmbeddedBroker, free_port
from service.demo.agents import Agents
from service.demo.base import cached_base, make_base
from service.demo.display import Display
from service.demo.folder import Options
from service.demo.lifecycle import count_records, lifecycle_events
from service.demo.plot import plot
from service.demo.report import build_report, read_rows, runs_of
from service.demo.settings import MODEL, TENANT, write_settings
from service.demo.simulator import Round
from service.supervise import Child, Supervisor, lorikeet
from service.wiring import Wiring
from stores.control import counters, jobs, outbox, registry, rollouts
from stores.control.jobs import Job
from stores.control.rollouts import Rollout

T = TypeVar("T")
_PATIENCE = 120.0


class Stage:
    """Starts everything; then the chapters let customers come, wait and read."""

    def __init__(self, options: Options, screen: Display, stack: ExitStack) -> None:
        self.screen = screen
        self.sessions = 0
        self._options = options
        self._stack = stack
        self._started = time.monotonic()

    def start_kafka(self) -> None:
        """A broker and the topics."""
        broker = EmbeddedBroker(self._options.data / "broker", say=self.screen.fact)
        self._stack.callback(broker.stop)
        self._kafka = KafkaConnection(broker.start())
        made = asyncio.run(create_topics(self._kafka, "", 3))
        self.screen.fact(f"a real broker listens on {self._kafka}; {len(made)} topics")

    def start_model(self) -> None:
        """The base model, the gateway that serves it, Lorikeet's processes, the customers."""
        known = cached_base(self._options.seed).exists()
        started = time.monotonic()
        base = make_base(
            self._options.seed,
            self._options.data / "base-job",
            lambda step: self.screen.progress(
                f"pre-training, loss {step.get('loss', 0):.2f}",
                step.get("step", 0),
                step.get("steps", 1),
            ),
        )
        seconds = time.monotonic() - started
        made = "found in the cache" if known else f"pre-trained in {seconds:.0f} s, cached"
        self.screen.fact(f"base model {made}: {base.name}")
        self._gateway = f"http://127.0.0.1:{free_port()}"
        self._settings, self._config = write_settings(
            self._options.data, self._kafka.bootstrap, base, self._gateway
        )
        self._start_processes(base)

    @property
    def api(self) -> str:
        """Where Lorikeet's API listens."""
        return f"http://127.0.0.1:{self._settings.api.port}"

    def _start_processes(self, base: Path) -> None:
        self._supervisor = Supervisor(self._settings.places.logs)
        self._stack.callback(self._supervisor.stop)
        self._supervisor.add(
            _gateway_child(base, self._gateway, self._kafka.bootstrap, self._options)
        )
        for name in ("ingest", "control", "api", "worker"):
            self._supervisor.add(Child(name, lorikeet(name, "--config", str(self._config))))
        self._agents = Agents(
            self._gateway,
            MODEL,
            self._kafka.bootstrap,
            self._options.seed,
            self._settings.places.logs / "simulator.log",
        )
        self._stack.callback(self._agents.close)
        self._wiring = Wiring(self._settings, NoMeter())
        self.wait("gateway and processes start", self._all_up)
        self.screen.fact("ingest, control, api, worker and the gateway are up")

    def _all_up(self) -> bool:
        metrics = self._settings.metrics
        pages = [f"http://127.0.0.1:{port}/metrics" for port in (metrics.control, metrics.worker)]
        pages += [f"{self._gateway}/health", f"{self.api}/health"]
        if not all(map(_answers, pages)):
            return False
        page = _page(f"http://127.0.0.1:{metrics.ingest}/metrics")
        return "lorikeet_ingest_assigned_partitions" in page

    def work(self, sessions: int, command: Round, label: str = "live tasks") -> None:
        """Let so many customers come, in rounds that the display can follow."""
        for done, count in _portions(sessions):
            self.screen.progress(label, done, sessions)
            self._supervisor.check()
            self._agents.work(replace(command, sessions=count))
            self.sessions += count

    def settle(self) -> None:
        """Wait until the ledger has every record and the counters have seen it."""
        self.wait("ingest catches up", self._caught_up)
        self._wiring.count_ledger()

    def _caught_up(self) -> bool:
        self._wiring.count_ledger()
        counted = sum(self._wiring.database.read(counters.dispositions).values())
        return counted == count_records(self._kafka)

    def dispositions(self) -> dict[str, int]:
        """Records in the ledger by disposition."""
        return self.read(counters.dispositions)

    def trained(self, number: int) -> Job:
        """Wait until so many jobs have ended; the newest. Raises Unrecoverable if it failed."""
        job = self.wait(
            "the job ends", lambda: self._ended(number), self._training_progress, seconds=180
        )
        if job.state is not JobState.COMPLETED:
            raise Unrecoverable(Code.TRAINING_FAILED, job.error or job.state)
        return job

    def _ended(self, number: int) -> Job | None:
        found = self.read(jobs.every)
        return found[0] if len(found) >= number and found[0].state.ended else None

    def _training_progress(self) -> None:
        job = self.read(jobs.every)[0]
        folder = self._settings.places.jobs / job.id / "attempts"
        steps = sorted(folder.glob("*/progress.jsonl"))
        line = steps[-1].read_text().splitlines()[-1:] if steps else []
        step = json.loads(line[0]) if line and line[0].endswith("}") else {}
        if job.state is JobState.TRAINING and step:
            text = f"training a LoRA adapter, loss {step['loss']:.2f}"
            self.screen.progress(text, step["step"], step["steps"])
        else:
            self.screen.progress(f"job {job.state.lower().replace('_', ' ')}", 0, None)

    def manifest(self, job: Job) -> Manifest:
        """What a job was trained on."""
        return self._wiring.datasets.manifest(job.dataset_digest or "")

    def rollout(self, job: Job) -> Rollout:
        """The roll-out of the version that a job made."""
        for found in self.read(rollouts.every):
            if found.version == job.version:
                return found
        raise Unrecoverable(Code.NO_SUCH_ROLLOUT, f"none was started for {job.version}")

    def converged(self) -> bool:
        """Whether the gateway serves what was decided last."""
        desired = self.read(lambda c: rollouts.route(c, TENANT, MODEL))
        return desired is not None and desired.converged_at is not None

    def read(self, work: Callable[[Any], T]) -> T:
        """Read the control database."""
        return self._wiring.database.read(work)

    def wait(
        self,
        what: str,
        ready: Callable[[], T | None],
        show: Callable[[], None] | None = None,
        seconds: float = _PATIENCE,
    ) -> T:
        """Wait until `ready` gives something. Raises Unrecoverable(CHILD_DIES) when it never does."""
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            if time.monotonic() > deadline:
                raise Unrecoverable(
                    Code.CHILD_DIES, f"waited in vain: {what}; see {self._settings.places.logs}"
                )
            self._supervisor.check()
            if show is not None:
                show()
            time.sleep(0.1)
        return found

    def report(self) -> dict[str, Any]:
        """The figures up to now, read back."""
        self.wait("the outbox is empty", lambda: not self.read(outbox.pending))
        return build_report(
            self._wiring.ledger,
            lifecycle_events(self._kafka),
            [
                self._wiring.datasets.manifest(found["digest"])
                for found in self.read(registry.dataset_list)
            ],
            count_records(self._kafka),
            time.monotonic() - self._started,
        )

    def picture(self) -> None:
        """Draw success over time into the data folder."""
        drawn = plot(runs_of(read_rows(self._wiring.ledger)), lifecycle_events(self._kafka))
        (self._options.data / "success.svg").write_text(drawn)

    def addresses(self) -> dict[str, str]:
        """What can be looked at while everything runs."""
        return {"Kafka": str(self._kafka), "API": f"{self.api}/docs", "gateway": self._gateway}

    def keep(self) -> None:
        """Leave everything running to be looked at."""
        try:
            while True:
                self._supervisor.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            return


def _gateway_child(base: Path, url: str, bootstrap: str, options: Options) -> Child:
    command = [sys.executable, "-m", "serving.reference", "--base", str(base), "--model", MODEL]
    command += ["--port", url.rsplit(":", 1)[1], "--bootstrap", bootstrap]
    if not options.swap:
        command.append("--no-lora-updates")
    return Child("gateway", command, {"OMP_NUM_THREADS": "1"})


def _portions(total: int, size: int = 100) -> Iterator[tuple[int, int]]:
    for done in range(0, total, size):
        yield done, min(size, total - done)


def _answers(url: str) -> bool:
    return bool(_page(url))


def _page(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=2.0)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.is_success else ""
