"""What one measured process is told, and what it says back: one line of JSON each way.

Nothing but the standard library: Quix Streams lives in an environment of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version


@dataclass(frozen=True, slots=True)
class Job:
    """Read `total` records of a topic on these cores. `folder` is the process's own."""

    bootstrap: str
    topic: str
    total: int
    cores: tuple[int, ...]
    folder: str
    variant: str = ""

    @classmethod
    def told(cls) -> Job:
        """The job in the first argument; this process is pinned to its cores."""
        job = cls(**json.loads(sys.argv[1]))
        os.sched_setaffinity(0, job.cores)
        return job

    def text(self) -> str:
        """The argument that `told` reads."""
        return json.dumps(asdict(self))


class Stopwatch:
    """Wall clock and this process's CPU time, from `start` to the last `lap`."""

    def __init__(self) -> None:
        self._began = self._ended = (0.0, 0.0)

    @property
    def running(self) -> bool:
        """Whether it was started."""
        return self._began != (0.0, 0.0)

    def start(self) -> None:
        """Begin."""
        self._began = self._ended = _now()

    def lap(self) -> None:
        """This far, at least."""
        self._ended = _now()

    @property
    def seconds(self) -> float:
        """Wall clock, seconds."""
        return self._ended[0] - self._began[0]

    @property
    def cpu(self) -> float:
        """CPU time of all threads, seconds."""
        return self._ended[1] - self._began[1]


def say(
    rows: int, ids: Iterable[str] | None, watch: Stopwatch, configuration: str, *packages: str
) -> None:
    """The result, as the last line of standard output. `ids` None: it does not validate."""
    print(
        json.dumps(
            {
                "rows": rows,
                "ids": None if ids is None else fingerprint(ids),
                "seconds": watch.seconds,
                "cpu": watch.cpu,
                "configuration": configuration,
                "versions": {name: version(name) for name in packages},
            }
        ),
        flush=True,
    )


def heard(line: str) -> Mapping[str, object]:
    """What `say` said."""
    found: dict[str, object] = json.loads(line)
    return found


def fingerprint(ids: Iterable[str]) -> str:
    """SHA-256 over the sorted ids: equal only if every id is there as often as wanted."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()
