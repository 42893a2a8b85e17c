"""The story: a model meets a changed world, learns from corrections, and a bad candidate is stopped.

Each chapter waits for what really happened, read from the control database and Kafka; the driver only
lets customers come, and once asks for a training job as a person would.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobState
from schemas.rollouts import RolloutState
from schemas.telemetry import NoMeter
from service.broker import EmbeddedBroker, free_port
from service.demo.agents import Agents
from service.demo.base import cached_base, make_base
from service.demo.display import Display, display
from service.demo.lifecycle import count_records, lifecycle_events
from service.demo.report import build_report
from service.demo.settings import MODEL, TENANT, write_settings
from service.demo.simulator import Round
from service.supervise import Child, Supervisor, lorikeet
from service.wiring import Wiring
from stores.control import counters, jobs, outbox, registry, rollouts
from stores.control.jobs import Job
from stores.control.rollouts import Rollout

T = TypeVar("T")
CHAPTERS = 8
MARKER = ".lorikeet-demo"
_BEFORE, _MEASURE, _CANARY, _RELABELLED = 200, 200, 60, 320
_MOST_AFTER = 900
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    data: Path
    seed: int = 0
    swap: bool = True
    keep: bool = False
    report: Path | None = None


def prepare(data: Path) -> None:
    """An empty folder of our own. Raises Unrecoverable(FOREIGN_FOLDER) rather than delete others' files."""
    if data.exists() and any(data.iterdir()):
        if not (data / MARKER).exists():
            raise Unrecoverable(Code.FOREIGN_FOLDER, f"{data} is not empty")
        shutil.rmtree(data)
    try:
        data.mkdir(parents=True, exist_ok=True)
        (data / MARKER).write_text("made by `lorikeet demo`; the next run deletes this folder\n")
    except OSError as error:
        raise Unrecoverable(Code.UNWRITABLE, f"{data}: {error.strerror}") from error


def tell(options: Options) -> dict[str, Any]:
    """Run the demonstration; its report. Leaves no process and no port behind."""
    prepare(options.data)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack, display(CHAPTERS) as screen:
        story = Story(options, screen, stack)
        report = story.run()
        if options.keep:
            story.wait_for_ctrl_c()
        return report


class Story:
    """One run of the demonstration."""

    def __init__(self, options: Options, screen: Display, stack: ExitStack) -> None:
        self._options = options
        self._screen = screen
        self._stack = stack
        self._started = time.monotonic()
        self._sessions = 0

    def run(self) -> dict[str, Any]:
        """All chapters."""
        self._start_kafka()
        self._start_model()
        self._normal_traffic()
        self._drift()
        first = self._train("the failure rate and the new examples cross their thresholds")
        promoted = self._roll_out(first)
        if promoted:
            self._bad_candidate()
        else:
            self._measure("as many live tasks, without an adapter", 2 * _MEASURE)
            self._screen.chapter(7, "A bad candidate: left out, since nothing was promoted")
        return self._summary()

    def wait_for_ctrl_c(self) -> None:
        """Leave everything running to be looked at."""
        self._screen.fact("Everything keeps running. Ctrl-C stops it.")
        try:
            while True:
                self._supervisor.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            return

    # 1 and 2: what has to be there

    def _start_kafka(self) -> None:
        self._screen.chapter(1, "Apache Kafka, from packages")
        broker = EmbeddedBroker(self._options.data / "broker", say=self._screen.fact)
        self._stack.callback(broker.stop)
        self._bootstrap = broker.start()
        import asyncio  # noqa: PLC0415

        from consumers.kafka import create_topics  # noqa: PLC0415

        made = asyncio.run(create_topics(self._bootstrap, "", 3))
        self._screen.fact(f"a real broker listens on {self._bootstrap}; {len(made)} topics")

    def _start_model(self) -> None:
        self._screen.chapter(2, "A tiny language model, made on the spot, behind a gateway")
        known = cached_base(self._options.seed).exists()
        started = time.monotonic()
        base = make_base(
            self._options.seed,
            self._options.data / "base-job",
            lambda step: self._screen.progress(
                f"pre-training, loss {step.get('loss', 0):.2f}",
                step.get("step", 0),
                step.get("steps", 1),
            ),
        )
        seconds = time.monotonic() - started
        made = "found in the cache" if known else f"pre-trained in {seconds:.0f} s"
        self._screen.fact(f"base model {made}: {base}")
        self._gateway = f"http://127.0.0.1:{free_port()}"
        self._settings, self._config = write_settings(
            self._options.data, self._bootstrap, base, self._gateway
        )
        self._start_processes(base)

    def _start_processes(self, base: Path) -> None:
        self._supervisor = Supervisor(self._settings.places.logs)
        self._stack.callback(self._supervisor.stop)
        self._supervisor.add(_gateway_child(base, self._gateway, self._bootstrap, self._options))
        for name in ("ingest", "control", "api", "worker"):
            self._supervisor.add(Child(name, lorikeet(name, "--config", str(self._config))))
        self._agents = Agents(
            self._gateway,
            MODEL,
            self._bootstrap,
            self._options.seed,
            self._settings.places.logs / "simulator.log",
        )
        self._stack.callback(self._agents.close)
        self._wiring = Wiring(self._settings, NoMeter())
        self._wait("gateway and processes start", self._all_up)
        self._screen.fact("ingest, control, api, worker and the gateway are up")

    def _all_up(self) -> bool:
        metrics = self._settings.metrics
        pages = [f"http://127.0.0.1:{port}/metrics" for port in (metrics.control, metrics.worker)]
        pages += [f"{self._gateway}/health", f"http://127.0.0.1:{self._settings.api.port}/health"]
        if not all(map(_answers, pages)):
            return False
        page = _page(f"http://127.0.0.1:{metrics.ingest}/metrics")
        return "lorikeet_ingest_assigned_partitions" in page

    # 3 and 4: traffic, and a changed world

    def _normal_traffic(self) -> None:
        self._screen.chapter(3, "Agents work for customers; every run and plan is an event")
        self._work(_BEFORE, Round(0, desk=1))
        self._settle()
        records = self._wiring.database.read(counters.dispositions)
        said = ", ".join(f"{count} {name}" for name, count in sorted(records.items()))
        self._screen.fact(f"{sum(records.values())} records in the ledger: {said}")
        self._say_rate("success")

    def _drift(self) -> None:
        self._screen.chapter(4, "The world changes: tools are renamed, new kinds of tasks arrive")
        while not self._read(jobs.every):
            if self._sessions > _MOST_AFTER:
                raise Unrecoverable(Code.CHILD_DIES, "no threshold was crossed; see the logs")
            self._work(100, Round(0, desk=2, corrections=1.0))
        self._say_rate("success after the change")
        self._screen.fact("an expert corrects the failed runs: feedback.received")

    # 5 and 6: learning, on evidence

    def _train(self, why: str) -> Job:
        self._screen.chapter(5, f"Training: {why}")
        job = self._wait("the job ends", self._job_ended, self._training_progress, seconds=180)
        if job.state is not JobState.COMPLETED:
            raise Unrecoverable(Code.TRAINING_FAILED, job.error or job.state)
        manifest = self._wiring.datasets.manifest(job.dataset_digest or "")
        counts = manifest.counts
        self._screen.fact(f"{job.detail}")
        self._screen.fact(
            f"dataset {manifest.version} sealed: {counts['train']} train, "
            f"{counts['validation']} validation, {counts['test']} test; {manifest.digest[:12]}"
        )
        self._say_version(job)
        return job

    def _say_version(self, job: Job) -> None:
        version = self._read(lambda c: registry.by_job(c, job.id))
        if version is None:
            raise Unrecoverable(Code.TRAINING_FAILED, "nothing was registered")
        validation = version.validation or {}
        for stage in validation["stages"]:
            self._screen.fact(f"{stage['stage']}: {stage['verdict']}, {stage['detail']}")
        mode = "; watch only, as asked" if validation["mode"] == "watch" else ""
        self._screen.fact(f"validation recommends {validation['recommendation']}{mode}")
        self._screen.fact(f"adapter {version.adapter} probed, signed, registered {version.version}")

    def _roll_out(self, job: Job) -> bool:
        self._screen.chapter(6, "Roll-out on evidence: shadow, canary, promotion")
        ended = self._canary(job)
        if ended.state is RolloutState.PROMOTED:
            self._wait("the gateway converges", self._converged)
            self._screen.fact("model.promoted; the gateway serves it to everybody")
            self._measure("live tasks after the promotion", _MEASURE)
            self._say_rate("success after promotion")
            return True
        history = self._read(lambda c: rollouts.history(c, ended.id))
        self._screen.fact(f"roll-out {ended.state}: {history[-1]['reason']}")
        return False

    def _canary(self, job: Job) -> Rollout:
        """Let customers come until the roll-out ends."""
        seen = ""
        while True:
            rollout = self._rollout(job)
            now = f"{rollout.state} {rollout.step}" if rollout.canary_at else str(rollout.state)
            if now != seen and not rollout.state.ended:
                self._screen.fact(self._stage(rollout))
                seen = now
            if rollout.state.ended:
                self._say_evidence(rollout)
                return rollout
            self._work(_CANARY, Round(0, desk=2), label=f"live tasks, {self._stage(rollout)}")

    def _stage(self, rollout: Rollout) -> str:
        if rollout.canary_at is None:
            return str(rollout.state)
        return f"canary at {rollout.policy.steps[rollout.step]:.0%} of sessions"

    def _say_evidence(self, rollout: Rollout) -> None:
        for metric in (rollout.evidence or {}).get("metrics", ()):
            self._screen.fact(
                f"{metric['name']}: candidate {metric['candidate']:.2f} (n {metric['n_candidate']})"
                f", baseline {metric['stable']:.2f} (n {metric['n_stable']}), difference "
                f"{metric['low']:+.2f} … {metric['high']:+.2f}: {metric['verdict']}"
            )

    # 7: harm

    def _bad_candidate(self) -> None:
        self._screen.chapter(7, "A bad candidate: 60 % of its labels are wrong")
        since = datetime.now(UTC)
        self._work(_RELABELLED, Round(0, desk=2, relabel=1.0, wrong=0.6))
        self._settle()
        self._screen.fact("validation is switched to watch-only for this job, and only for it")
        body = {"since": since.isoformat(), "validation": "watch", "actor": "demo"}
        url = f"http://127.0.0.1:{self._settings.api.port}/v1/tenants/{TENANT}/models/{MODEL}/train"
        httpx.post(url, json=body, timeout=30).raise_for_status()
        job = self._wait("the job ends", self._second_ended, self._training_progress, seconds=180)
        if job.state is not JobState.COMPLETED:
            raise Unrecoverable(Code.TRAINING_FAILED, job.error or job.state)
        self._say_version(job)
        ended = self._canary(job)
        if ended.state is not RolloutState.ROLLED_BACK:
            raise Unrecoverable(Code.CHILD_DIES, f"the bad candidate ended as {ended.state}")
        self._wait("the gateway converges", self._converged)
        restored = self._report_now()["rolled_back"][0]["time_to_restore_s"]
        self._screen.fact(f"model.rolled_back; stable serves again, restored in {restored:.2f} s")
        self._measure("live tasks after the rollback", _MEASURE)
        self._say_rate("success after rollback")

    # 8: the summary

    def _summary(self) -> dict[str, Any]:
        self._screen.chapter(8, "Summary")
        self._settle()
        self._wait("the outbox is empty", lambda: not self._read(outbox.pending))
        report = self._report_now()
        if self._options.report:
            self._options.report.write_text(json.dumps(report, indent=2) + "\n")
        return report

    def _report_now(self) -> dict[str, Any]:
        self._wait("the outbox is empty", lambda: not self._read(outbox.pending))
        return build_report(
            self._wiring.ledger,
            lifecycle_events(self._bootstrap),
            [
                self._wiring.datasets.manifest(found["digest"])
                for found in self._read(registry.dataset_list)
            ],
            count_records(self._bootstrap),
            time.monotonic() - self._started,
        )

    # what the chapters share

    def _work(self, sessions: int, command: Round, label: str = "live tasks") -> None:
        """Let so many customers come, in rounds that the display can follow."""
        for done in _portions(sessions):
            self._screen.progress(label, done[0], sessions)
            self._supervisor.check()
            self._agents.work(Round(**{**_fields(command), "sessions": done[1]}))
            self._sessions += done[1]

    def _measure(self, label: str, sessions: int) -> None:
        self._work(sessions, Round(0, desk=2), label=label)
        self._settle()

    def _settle(self) -> None:
        """Wait until the ledger has every record and the counters have seen it."""
        self._wait("ingest catches up", self._caught_up)
        self._wiring.count_ledger()

    def _caught_up(self) -> bool:
        self._wiring.count_ledger()
        counted = sum(self._wiring.database.read(counters.dispositions).values())
        return counted == count_records(self._bootstrap)

    def _say_rate(self, name: str) -> None:
        """The newest phase that has runs."""
        rates = self._report_now()["success_rate"]
        newest = [rate for rate in rates.values() if rate["n"]][-1]
        self._screen.fact(
            f"{name}: {newest['rate']:.1%} "
            f"({newest['low']:.1%} … {newest['high']:.1%}, n {newest['n']})"
        )

    def _training_progress(self) -> None:
        job = self._read(jobs.every)[0]
        folder = self._settings.places.jobs / job.id / "attempts"
        steps = sorted(folder.glob("*/progress.jsonl"))
        line = steps[-1].read_text().splitlines()[-1:] if steps else []
        step = json.loads(line[0]) if line and line[0].endswith("}") else {}
        if job.state is JobState.TRAINING and step:
            text = f"training a LoRA adapter, loss {step['loss']:.2f}"
            self._screen.progress(text[:34], step["step"], step["steps"])
        else:
            self._screen.progress(f"job {job.state.lower()}", 0, 1)

    def _job_ended(self) -> Job | None:
        found = self._read(jobs.every)
        return found[0] if found and found[0].state.ended else None

    def _second_ended(self) -> Job | None:
        found = self._read(jobs.every)
        return found[0] if len(found) > 1 and found[0].state.ended else None

    def _rollout(self, job: Job) -> Rollout:
        for found in self._read(rollouts.every):
            if found.version == job.version:
                return found
        raise Unrecoverable(Code.NO_SUCH_ROLLOUT, f"none was started for {job.version}")

    def _converged(self) -> bool:
        desired = self._read(lambda c: rollouts.route(c, TENANT, MODEL))
        return desired is not None and desired.converged_at is not None

    def _read(self, work: Callable[[Any], T]) -> T:
        return self._wiring.database.read(work)

    def _wait(
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


def _gateway_child(base: Path, url: str, bootstrap: str, options: Options) -> Child:
    command = [sys.executable, "-m", "serving.reference", "--base", str(base), "--model", MODEL]
    command += ["--port", url.rsplit(":", 1)[1], "--bootstrap", bootstrap]
    if not options.swap:
        command.append("--no-lora-updates")
    return Child("gateway", command, {"OMP_NUM_THREADS": "1"})


def _portions(total: int, size: int = 100) -> Iterator[tuple[int, int]]:
    for done in range(0, total, size):
        yield done, min(size, total - done)


def _fields(command: Round) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__dataclass_fields__}


def _answers(url: str) -> bool:
    return bool(_page(url))


def _page(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=2.0)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.is_success else ""
