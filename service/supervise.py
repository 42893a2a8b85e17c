"""Keeping child processes alive on one machine, with back-off, and leaving none behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from launchers.local import die_with_parent
from schemas.errors import Code, Unrecoverable

log = structlog.get_logger(__name__)
_USER_ERROR = 2
_STOP_SECONDS = 10.0
_HEALTHY_SECONDS = 30.0
_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    next_start: float = 0.0


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
        """Restart what died. Raises Unrecoverable(CHILD_DIES) for an error only a user can mend."""
        now = time.monotonic()
        for child in self._children.values():
            if child.process is not None and child.process.poll() is not None:
                self._died(child, now)
            if child.process is None and now >= child.next_start:
                self._start(child)

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
                env={**os.environ, **child.environment},
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no locks
            )
        child.started = time.monotonic()
        log.info("child.started", name=child.name, pid=child.process.pid)

    def _died(self, child: Child, now: float) -> None:
        assert child.process is not None  # noqa: S101 - the caller looked
        code = child.process.returncode
        last = _last_line(self._logs / f"{child.name}.log")
        if code == _USER_ERROR:
            raise Unrecoverable(Code.CHILD_DIES, f"{child.name}: {last}", remedy="mend that first")
        healthy = now - child.started > _HEALTHY_SECONDS
        child.failures = 1 if healthy else child.failures + 1
        wait = min(2.0 ** (child.failures - 1), _LONGEST_WAIT)
        log.warning("child.died", name=child.name, code=code, restart_in=wait, said=last)
        child.process, child.next_start = None, now + wait


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


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:500] if lines else "said nothing"
