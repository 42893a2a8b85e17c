"""One demonstration, kept running after its summary, for everything that looks at it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT, end, wait_for


@dataclass
class Demonstration:
    """A demonstration under way: its folder, report, settings, and how it ended."""

    data: Path
    report_file: Path
    log: Path
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.report_file.read_text())
        return found

    @property
    def settings(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.data / "lorikeet.yaml").read_text())
        return found

    @property
    def bootstrap(self) -> str:
        return str(self.settings["kafka"]["bootstrap"])

    def ports(self) -> list[int]:
        tree = self.settings
        gateways = [int(url.rsplit(":", 1)[1]) for url in tree["models"][0]["gateways"]]
        broker = int(self.bootstrap.rsplit(":", 1)[1])
        return [tree["api"]["port"], *tree["metrics"].values(), *gateways, broker]


def start(folder: Path, *options: str, make: bool = False) -> Demonstration:
    """Start `lorikeet demo`, or `make demo`, in a folder of its own."""
    data, report, log = folder / "demo", folder / "report.json", folder / "demo.log"
    arguments = ["--data", str(data), "--report", str(report), *options]
    command = [sys.executable, "-m", "service", "demo", *arguments]
    if make:
        environment = f"VENV={sys.prefix}"
        command = ["make", "demo", environment, f"ARGS={shlex.join(arguments)}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
    return Demonstration(data, report, log, process)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """A whole demonstration that has told its story and keeps running."""
    demonstration = start(tmp_path_factory.mktemp("kept"), "--keep")
    try:
        wait_for(
            lambda: demonstration.report_file.exists() or demonstration.process.poll() is not None,
            f"the report; see {demonstration.log}",
            400,
        )
        demonstration.seconds = time.monotonic() - demonstration.started
        assert demonstration.report_file.exists(), demonstration.log.read_text()[-3000:]
        yield demonstration
    finally:
        if demonstration.process.poll() is None:
            demonstration.process.send_signal(signal.SIGINT)
        end(demonstration.process)
