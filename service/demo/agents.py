"""The simulator's process, driven over its standard input."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from launchers.local import die_with_parent
from schemas.errors import Code, Unrecoverable
from service.demo.simulator import Round


class Agents:
    """Starts the simulator; `work` lets it work a round and waits."""

    def __init__(self, gateway: str, model: str, bootstrap: str, seed: int, log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    sys.executable,
                    "-m",
                    "service.demo.simulator",
                    f"--gateway={gateway}",
                    f"--model={model}",
                    f"--bootstrap={bootstrap}",
                    f"--seed={seed}",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=os.environ.copy(),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, no locks
            )
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def work(self, command: Round, seconds: float = 120.0) -> None:
        """Work a round. Raises Unrecoverable(CHILD_DIES) if the simulator fails."""
        assert self._process.stdin is not None  # noqa: S101 - PIPE was asked for
        try:
            self._process.stdin.write(json.dumps(asdict(command)).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._answers.get(timeout=seconds)
        except (BrokenPipeError, queue.Empty):
            answer = b""
        if not answer:
            raise Unrecoverable(Code.CHILD_DIES, f"simulator; see {self._log}")

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - PIPE was asked for
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")
