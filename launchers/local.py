"""Training in a process of its own on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_GRACE_SECONDS = 5.0
_TAIL = 4_000
_SECRETS = ("LORIKEET_", "AWS_", "PGPASSWORD")


class LocalRun:
    """See `Run`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def cancel(self) -> None:
        """SIGTERM to its process group, SIGKILL after a grace period."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self.running():
                return
            os.killpg(self._process.pid, sign)
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                continue

    def log(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(errors="replace")[-_TAIL:] if self._log.exists() else ""


class LocalLauncher:
    """See `Launcher`. The child inherits no secrets, and ends when this process does."""

    def __init__(self, *, threads: int | None = None) -> None:
        """`threads` bounds the CPU threads of a job; None leaves it to torch."""
        self._threads = threads

    def launch(self, folder: Path, epoch: int) -> LocalRun:
        """Start `python -m training` on a folder."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(_SECRETS)}
        environment["HF_HUB_OFFLINE"] = "1"
        if self._threads is not None:
            environment["OMP_NUM_THREADS"] = str(self._threads)
        log = folder / f"log-{epoch}.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and program
                [sys.executable, "-m", "training", str(folder), "--epoch", str(epoch)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no locks
            )
        return LocalRun(process, log)


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent thread ends; elsewhere do nothing."""
    import ctypes  # noqa: PLC0415 - only in the child

    try:
        libc = ctypes.CDLL("libc.so.6", use_errno=True)
    except OSError:
        return
    pr_set_pdeathsig = 1
    libc.prctl(pr_set_pdeathsig, signal.SIGTERM)
