"""The story: a model meets a changed world, learns from corrections, and a bad candidate is stopped.

Each chapter waits for what really happened, read from the control database and Kafka; the driver only
lets customers come, and once asks for a training job as a person would.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx

from schemas.errors import Code, Unrecoverable
from schemas.rollouts import RolloutState
from service.demo.display import display
from service.demo.folder import Options, prepare
from service.demo.settings import MODEL, TENANT
from service.demo.simulator import Round
from service.demo.stage import Stage
from stores.control import jobs, registry, rollouts
from stores.control.jobs import Job
from stores.control.rollouts import Rollout

CHAPTERS = 8
_BEFORE, _MEASURE, _CANARY, _RELABELLED = 200, 200, 60, 320
_MOST_AFTER = 900
_BAD_LABELS = 0.6


def tell(options: Options, show: Callable[[dict[str, Any], dict[str, str]], None]) -> None:
    """Run the demonstration and show its report. Leaves no process and no port behind.

    `show` gets the report, and the addresses of what keeps running if it was asked to.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        prepare(options, stack)
        with display(CHAPTERS) as screen:
            stage = Stage(options, screen, stack)
            report = Story(stage).run()
        if options.report:
            options.report.write_text(json.dumps(report, indent=2) + "\n")
        show(report, stage.addresses() if options.keep else {})
        if options.keep:
            stage.keep()


class Story:
    """The chapters of one run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._chapter = stage.screen.chapter
        self._say = stage.screen.fact

    def run(self) -> dict[str, Any]:
        """All of them; the report."""
        self._chapter(1, "Apache Kafka, from packages")
        self._stage.start_kafka()
        self._chapter(2, "A tiny language model, made on the spot, behind a gateway")
        self._stage.start_model()
        self._normal_traffic()
        self._drift()
        if self._roll_out(self._learn()):
            self._bad_candidate()
        else:
            self._measure("as many live tasks, without an adapter", 2 * _MEASURE)
            self._chapter(7, "A bad candidate: left out, since nothing was promoted")
        self._chapter(8, "Summary")
        self._stage.settle()
        self._stage.picture()
        return self._stage.report()

    def _normal_traffic(self) -> None:
        self._chapter(3, "Agents work for customers; every run and plan is an event")
        self._say("some records are broken, repeated or carry personal data, on purpose")
        self._stage.work(_BEFORE, Round(0, desk=1))
        self._stage.settle()
        records = self._stage.dispositions()
        said = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(records.items()))
        self._say(f"{sum(records.values())} records in the ledger: {said}")
        self._say_rate("success")

    def _drift(self) -> None:
        self._chapter(4, "The world changes: tools are renamed, new kinds of tasks arrive")
        while not self._stage.read(jobs.every):
            if self._stage.sessions > _MOST_AFTER:
                raise Unrecoverable(Code.CHILD_DIES, "no threshold was crossed; see the logs")
            self._stage.work(100, Round(0, desk=2, corrections=1.0))
        self._say_rate("success after the change")
        self._say("an expert corrects the failed runs: feedback.received")

    def _learn(self) -> Job:
        self._chapter(5, "Training: the failure rate and the new examples cross their thresholds")
        job = self._stage.trained(1)
        self._say(f"{job.detail}")
        manifest = self._stage.manifest(job)
        sizes = ", ".join(f"{manifest.counts[s]} {s}" for s in ("train", "validation", "test"))
        self._say(f"dataset {manifest.version} sealed: {sizes}; {manifest.digest[:12]}")
        self._say_version(job)
        return job

    def _say_version(self, job: Job) -> None:
        version = self._stage.read(lambda c: registry.by_job(c, job.id))
        if version is None:
            raise Unrecoverable(Code.TRAINING_FAILED, "nothing was registered")
        validation = version.validation or {}
        for found in validation["stages"]:
            self._say(f"{found['stage']}: {found['verdict']}, {found['detail']}")
        mode = "; watch only, as asked" if validation["mode"] == "watch" else ""
        self._say(f"validation recommends {validation['recommendation']}{mode}")
        self._say(f"adapter {version.adapter} probed, signed, registered {version.version}")

    def _roll_out(self, job: Job) -> bool:
        self._chapter(6, "Roll-out on evidence: shadow, canary, promotion")
        ended = self._canary(job)
        if ended.state is not RolloutState.PROMOTED:
            history = self._stage.read(lambda c: rollouts.history(c, ended.id))
            self._say(f"roll-out {ended.state}: {history[-1]['reason']}")
            return False
        self._stage.wait("the gateway converges", self._stage.converged)
        self._say("model.promoted; the gateway serves it to everybody")
        self._measure("live tasks after the promotion", _MEASURE)
        self._say_rate("success after promotion")
        return True

    def _canary(self, job: Job) -> Rollout:
        """Let customers come until the roll-out ends."""
        said = ""
        while not (rollout := self._stage.rollout(job)).state.ended:
            now = _where(rollout)
            if now != said:
                self._say(now)
                said = now
            self._stage.work(
                _CANARY, Round(0, desk=2), label=f"live tasks, {now.partition(':')[0]}"
            )
        for metric in (rollout.evidence or {}).get("metrics", ()):
            self._say(
                f"{metric['name']}: candidate {metric['candidate']:.2f} (n {metric['n_candidate']})"
                f", baseline {metric['stable']:.2f} (n {metric['n_stable']}), difference "
                f"{metric['low']:+.2f} … {metric['high']:+.2f}: {metric['verdict']}"
            )
        return rollout

    def _bad_candidate(self) -> None:
        self._chapter(7, f"A bad candidate: {_BAD_LABELS:.0%} of its labels are wrong")
        since = datetime.now(UTC)
        self._stage.work(_RELABELLED, Round(0, desk=2, relabel=1.0, wrong=_BAD_LABELS))
        self._stage.settle()
        self._say("validation is switched to watch-only for this job, and only for it")
        body = {"since": since.isoformat(), "validation": "watch", "actor": "demo"}
        url = f"{self._stage.api}/v1/tenants/{TENANT}/models/{MODEL}/train"
        httpx.post(url, json=body, timeout=30).raise_for_status()
        job = self._stage.trained(2)
        self._say_version(job)
        ended = self._canary(job)
        if ended.state is not RolloutState.ROLLED_BACK:
            raise Unrecoverable(Code.CHILD_DIES, f"the bad candidate ended as {ended.state}")
        self._stage.wait("the gateway converges", self._stage.converged)
        restored = self._stage.report()["rolled_back"][0]["time_to_restore_s"]
        self._say(f"model.rolled_back; stable serves again, restored in {restored:.2f} s")
        self._measure("live tasks after the rollback", _MEASURE)
        self._say_rate("success after rollback")

    def _measure(self, label: str, sessions: int) -> None:
        self._stage.work(sessions, Round(0, desk=2), label=label)
        self._stage.settle()

    def _say_rate(self, name: str) -> None:
        """The newest phase that has runs."""
        rates = self._stage.report()["success_rate"]
        newest = [rate for rate in rates.values() if rate["n"]][-1]
        interval = f"{newest['low']:.1%} … {newest['high']:.1%}"
        self._say(f"{name}: {newest['rate']:.1%} ({interval}, n {newest['n']})")


def _where(rollout: Rollout) -> str:
    if rollout.state is RolloutState.CANDIDATE:
        return "candidate: the gateway loads it and must answer as recorded"
    if rollout.state is RolloutState.SHADOW:
        return "shadow: it answers copies of live tasks, nobody sees them"
    return f"canary at {rollout.policy.steps[rollout.step]:.0%} of sessions"
