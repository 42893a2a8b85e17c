"""Which core does what, and what machine this is."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def two_cores() -> tuple[int, int]:
    """The broker's core and the consumer's. Ends the program where there is one core only."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:  # noqa: PLR2004 - broker and consumer
        raise SystemExit("the benchmark needs two cores: one for the broker, one for the consumer")
    return allowed[0], allowed[1]


def pin(process: int, cores: tuple[int, ...]) -> None:
    """Pin every thread of a process; threads that it starts later follow their parents."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def machine(folder: Path) -> dict[str, str]:
    """Facts about this machine; `folder` is where the ledgers lie."""
    return {
        "processor": f"{_first('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "file system of the ledger": _file_system(folder),
    }


def _first(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0"


def _file_system(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(holding, key=lambda found: len(found[0]))[1] if holding else "unknown"
