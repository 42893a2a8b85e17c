"""Reference gateways in processes of their own, for tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from service.broker import free_port
from tests.processes import ROOT, end, wait_for


class GatewayProcess:
    """One reference gateway; `start` and `stop` may be repeated, the address stays."""

    def __init__(self, base: Path, model: str, log: Path, *options: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._command = [
            sys.executable, "-m", "serving.reference", "--base", str(base), "--model", model,
            "--port", self.url.rsplit(":", 1)[1], *options,
        ]  # fmt: skip
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it answers."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
            )
        wait_for(self.healthy, f"the gateway; see {self._log}", 90)

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            end(self._process)
            self._process = None
