"""Running Lorikeet's own processes in tests: settings in a file, children ended by their pid."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from service.broker import free_port

ROOT = Path(__file__).resolve().parents[1]


def write_config(folder: Path, bootstrap: str | None, **changes: Any) -> Path:
    """A `lorikeet.yaml` with free ports and an installation of its own below `folder`."""
    tree: dict[str, Any] = {
        "data": str(folder / "data"),
        "kafka": {"bootstrap": bootstrap},
        "api": {"port": free_port()},
        "metrics": {"ingest": free_port(), "control": free_port(), "worker": free_port()},
    }
    for name, value in changes.items():
        known = tree.get(name)
        tree[name] = {**known, **value} if isinstance(known, dict) else value
    path = folder / "lorikeet.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def start(*arguments: str, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A Lorikeet process; the caller ends it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **environment},
        )


def run(
    *arguments: str, seconds: float = 60.0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A Lorikeet command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
    )


def end(*processes: subprocess.Popen[bytes]) -> None:
    """End processes that may still run."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(ready: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Poll until `ready` gives something true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain: {what}")


def listening(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def with_path(text: str) -> list[int]:
    """Processes whose command line holds a text."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(entry.parent.name) != os.getpid():
            found.append(int(entry.parent.name))
    return found
