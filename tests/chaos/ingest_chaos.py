"""`make chaos-ingest`: every record is one row, whatever is killed.

Two processes share a group, one a static member and one a dynamic one, while a publisher goes on and the
ledger is maintained as the control worker does it. The plan is data; the test in `test_ingest.py` runs a short one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from consumers.kafka import create_topics
from producers.connection import KafkaConnection
from service.broker import EmbeddedBroker
from tests.chaos import plan as plans
from tests.chaos.maintainer import Maintainer
from tests.chaos.members import Member
from tests.chaos.plan import Fault, Hit, Outcome, Plan
from tests.chaos.traffic import PARTITIONS, Traffic, truth
from tests.chaos.witness import Log, Witness, compare
from tests.processes import wait_for

_PREFIX = "chaos."
_TOPIC = f"{_PREFIX}execution.completed"
_PATIENCE = 120.0
Say = Callable[[str], None]


class Chaos:
    """One run of a plan in a folder of its own."""

    def __init__(self, plan: Plan, folder: Path, say: Say) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._dice = random.Random(plan.seed)
        self._ledger = folder / "data" / "ledger"
        self._broker = EmbeddedBroker(folder / "broker", say=say)
        self._log = Log(self._ledger, _TOPIC)
        self._witness = Witness(self._ledger)
        self._maintainer = Maintainer(folder / "data")

    def run(self) -> Outcome:
        """Start everything, do the faults, wait for the end, compare."""
        outcome, began = Outcome(), time.monotonic()
        bootstrap = self._broker.start()
        asyncio.run(create_topics(KafkaConnection(bootstrap), _PREFIX, PARTITIONS))
        self._traffic = Traffic(bootstrap, _TOPIC, self._plan.events, self._plan.rate)
        self._members = {
            name: Member(
                self._folder,
                bootstrap,
                name,
                prefix=_PREFIX,
                group=f"{_PREFIX}ingest",
                member_id=name if name == "static" else None,
                flush_seconds=0.5,
                session_timeout_ms=self._plan.session_ms,
            )
            for name in ("static", "dynamic")
        }
        try:
            self._traffic.start()
            self._witness.start()
            self._settle(time.time(), "everything runs")
            self._maintainer.start()
            for number, fault in enumerate(self._plan.faults, 1):
                outcome.hits.append(self._do(fault))
                self._tell(number, outcome.hits[-1])
            self._drain()
            self._judge(outcome, bootstrap)
        finally:
            for member in self._members.values():
                member.stop()
            self._broker.stop()
        outcome.seconds = time.monotonic() - began
        return outcome

    def _do(self, fault: Fault) -> Hit:
        name = self._dice.choice(("static", "dynamic")) if fault.member == "any" else fault.member
        member = self._members[name]
        if fault.wait is None:
            wait_for(member.started, f"{name} runs", _PATIENCE)
        else:
            time.sleep(self._dice.uniform(*fault.wait))
        wait_for(lambda: self._lag() > 0, "records wait", _PATIENCE)
        hit = Hit(fault, "broker" if fault.action == "broker" else name, self._lag())
        since = self._perform(fault, member)
        if fault.settle:
            hit.recovered = self._settle(since, f"{fault.action} of {name}")
        return hit

    def _perform(self, fault: Fault, member: Member) -> float:
        """Do it; when the time to recover began."""
        began = time.time()
        if fault.action == "kill":
            member.kill()
        elif fault.action == "restart":
            member.leave()
            began = time.time()
        elif fault.action == "broker":
            self._broker.kill()
            time.sleep(fault.seconds)
            self._broker.start()
            began = time.time()
        else:
            member.freeze()
            self._settle(began, "the other member takes over")
            time.sleep(max(0.0, fault.seconds - (time.time() - began)))
            member.thaw()
            began = time.time()
        return began

    def _settle(self, since: float, what: str) -> float:
        """Seconds from then until each partition has a new commit."""
        before = self._log.follow()
        at: dict[int, float] = {}

        def moved() -> bool:
            for partition, offset in self._log.follow().items():
                if offset > before[partition]:
                    at.setdefault(partition, self._log.moved[partition])
            return len(at) == PARTITIONS

        wait_for(moved, f"every partition moves again: {what}", _PATIENCE)
        return max(at.values()) - since

    def _lag(self) -> int:
        known = self._log.follow()
        return sum(max(0, end - known[p]) for p, end in dict(self._traffic.ends).items())

    def _drain(self) -> None:
        """Publish the rest; wait until the ledger has what was acknowledged."""
        self._traffic.hurry.set()
        self._traffic.join(_PATIENCE + self._plan.events / 200)
        assert self._traffic.failure is None, self._traffic.failure
        assert not self._traffic.is_alive(), "the publisher is stuck"
        wait_for(lambda: self._lag() <= 0, "the ledger has everything", 5 * _PATIENCE)

    def _judge(self, outcome: Outcome, bootstrap: str) -> None:
        self._maintainer.stop()
        self._witness.stop()
        self._witness.look()
        found = asyncio.run(truth(bootstrap, _TOPIC))
        outcome.figures, outcome.wrong = compare(self._ledger, found)
        outcome.figures |= dict(found.counts())
        outcome.figures["snapshots read meanwhile"] = self._witness.snapshots
        outcome.figures["ends of a process by itself"] = sum(
            member.exits for member in self._members.values()
        )
        outcome.figures["rounds of maintenance meanwhile"] = self._maintainer.rounds
        outcome.wrong += [*self._witness.complaints, *self._maintainer.complaints]
        if seen := self._witness.holes & set(found.received):
            outcome.wrong.append(f"{len(seen)} holes were seen meanwhile, {min(seen)} first")
        if len(found.received) != self._plan.events:
            outcome.wrong.append(f"the publisher wrote {len(found.received)} records")
        outcome.wrong += plans.slow(outcome.hits)

    def _tell(self, number: int, hit: Hit) -> None:
        moved = (
            "" if hit.recovered is None else f", every partition again after {hit.recovered:.1f} s"
        )
        done = f"{number}/{len(self._plan.faults)}"
        self._say(
            f"{done} {hit.fault.action} of {hit.member}, lag {hit.lag}{moved};"
            f" {self._traffic.sent:,} published, {sum(self._log.offsets.values()):,} in the ledger"
        )


def main() -> None:
    """The full plan, or the short one; exit code 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="the normal test run's plan")
    parser.add_argument("--out", type=Path, help="write the page here too")
    options = parser.parse_args()
    plan, console = plans.SHORT if options.short else plans.FULL, Console()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are meant to go away
    with (
        tempfile.TemporaryDirectory(prefix="lorikeet-chaos-") as folder,
        console.status("starting") as status,
    ):

        def say(text: str) -> None:
            console.print(text)
            status.update(text)

        outcome = Chaos(plan, Path(folder), say).run()
    page = plans.markdown(plan, outcome)
    console.print(Markdown(page))
    if options.out:
        options.out.write_text(page)
    raise SystemExit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
