"""Keeping child processes alive on one machine, with back-off, and leaving none behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from launchers.local import die_with_parent
from schemas.errors import Code, Halted, LorikeetError, Unrecoverable
from service.broker import EmbeddedBroker

log = structlog.get_logger(__name__)
SUPERVISED = "LORIKEET_SUPERVISED"
"""Set for children: they exit with 75 (EX_TEMPFAIL) for what may work later, with 2 for the rest."""
_FINAL = {2: Unrecoverable, 3: Halted}
"""Exit codes after which starting again is wrong, and what they are in the parent."""
_ERROR_LINE = re.compile(r"lorikeet: (?P<number>E\d{4}) (?P<text>.*)")
_STOP_SECONDS = 10.0
_HEALTHY_SECONDS = 30.0
_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Backoff:
    """When to start again: after 1 s, 2 s, ... 30 s; from the beginning after 30 s without a failure."""

    failures: int = 0
    started: float = 0.0
    next_start: float = 0.0

    def failed(self, now: float) -> float:
        """Note a failure; how many seconds to wait."""
        healthy = now - self.started > _HEALTHY_SECONDS
        self.failures = 1 if healthy else self.failures + 1
        wait = min(2.0 ** (self.failures - 1), _LONGEST_WAIT)
        self.next_start = now + wait
        return wait


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    ends: bool = False
    """Whether exit code 0 is its end: it is not started again."""
    process: subprocess.Popen[bytes] | None = None
    backoff: Backoff = field(default_factory=Backoff)


class Supervisor:
    """Starts children, restarts those that die, ends all of them."""

    def __init__(self, logs: Path) -> None:
        """`logs` takes one file a child."""
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._children: dict[str, Child] = {}

    def add(self, child: Child) -> None:
        """Start a child and keep it alive from now on."""
        self._children[child.name] = child
        self._start(child)

    def pid(self, name: str) -> int | None:
        """A child's process id while it runs."""
        process = self._children[name].process
        return process.pid if process else None

    def check(self) -> None:
        """Restart what died. Raises Unrecoverable(CHILD_DIES), or Halted, for what only a user can mend."""
        now = time.monotonic()
        for child in list(self._children.values()):
            if child.process is not None and child.process.poll() is not None:
                if child.ends and child.process.returncode == 0:
                    del self._children[child.name]
                    continue
                self._died(child, now)
            if child.process is None and now >= child.backoff.next_start:
                self._start(child)

    @property
    def empty(self) -> bool:
        """Whether nothing is supervised (any more)."""
        return not self._children

    def stop(self, name: str | None = None) -> None:
        """End one child, or all of them, the newest first."""
        chosen = [self._children.pop(name)] if name else list(self._children.values())[::-1]
        if name is None:
            self._children.clear()
        for child in chosen:
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for child in chosen:
            _end(child, max(deadline - time.monotonic(), 0.1))

    def _start(self, child: Child) -> None:
        with (self._logs / f"{child.name}.log").open("ab") as output:
            child.process = subprocess.Popen(  # noqa: S603 - our own programs
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, SUPERVISED: "1", **child.environment},
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no locks
            )
        child.backoff.started = time.monotonic()
        log.info("child.started", name=child.name, pid=child.process.pid)

    def _died(self, child: Child, now: float) -> None:
        assert child.process is not None  # noqa: S101 - the caller looked
        code = child.process.returncode
        last = _last_line(self._logs / f"{child.name}.log")
        if code in _FINAL:
            raise _last_words(code, child.name, last)
        wait = child.backoff.failed(now)
        log.warning("child.died", name=child.name, code=code, restart_in=wait, said=last)
        child.process = None


class KeptBroker:
    """An embedded broker that is started again, in its folder and on its port, when it has died."""

    def __init__(self, broker: EmbeddedBroker, say: Callable[[str], None]) -> None:
        """`broker` runs."""
        self._broker = broker
        self._say = say
        self._backoff = Backoff(started=time.monotonic())
        self._down = False

    def check(self) -> None:
        """Start it again if it is down and has waited; never raises because of a failed start."""
        if self._broker.running():
            return
        if not self._down:
            self._down = True
            self._later("The embedded broker has died")
        elif time.monotonic() >= self._backoff.next_start:
            self._start()

    def _start(self) -> None:
        failure = None
        try:
            self._broker.start()
        except (LorikeetError, OSError) as error:
            failure = str(error)
        self._backoff.started = time.monotonic()
        if failure is not None:
            self._later(failure)
            return
        self._down = False
        self._say(f"The embedded broker is back on {self._broker.bootstrap}.")

    def _later(self, what: str) -> None:
        wait = self._backoff.failed(time.monotonic())
        log.warning("broker.died", said=what, restart_in=wait)
        self._say(f"{what}; starting it again in {wait:.0f} s.")


def lorikeet(*arguments: str) -> list[str]:
    """The command line of a Lorikeet process of this same installation."""
    return [sys.executable, "-m", "service", *arguments]


def _end(child: Child, seconds: float) -> None:
    if child.process is None:
        return
    try:
        child.process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


def _last_words(code: int, name: str, line: str) -> Unrecoverable:
    """The error that a child named in its last line, as the parent's own."""
    said = _ERROR_LINE.fullmatch(line)
    known = {one.number: one for one in Code}.get(said["number"]) if said else None
    if said is None or known is None:
        return _FINAL[code](Code.CHILD_DIES, f"{name}: {line}", remedy="mend that first")
    what, _, remedy = said["text"].removeprefix(known.meaning).removeprefix(": ").rpartition("; ")
    return _FINAL[code](known, what, remedy=remedy)


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "said nothing"
