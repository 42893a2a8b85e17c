"""Where the whole path's time goes: py-spy's samples, grouped by stage, and as a flame graph."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import flame
from benchmarks.bed import Bed
from benchmarks.lorikeet_runs import run_lorikeet

_RATE = 250
_ROWS = 30
STAGES: Mapping[str, str] = {
    "poll": r"aiokafka/|SocketTransport|asyncio/streams",
    "redact": r"curation/(redact|placeholders|findings|patterns|phones|checksums|expressions|residue)",
    "label, score": r"curation/(score|dispose|labels|difficulty|extract|domains?)|schemas/(digests|exact_json)",
    "duplicates": r"curation/duplicates",
    "validate": r"schemas/(chat|events|executions|feedback)|pydantic",
    "parse": r"schemas/(envelope|fastpath|structs|wellformed)|json/decoder",
    "fsync, commit": r"^sync|ledger/table|deltalake|create_write_transaction|^_commit ",
    "arrow, parquet": r"ledger/|pyarrow",
    "row": r"curation/(curate|attributes|pseudonyms)|schemas/rows|operations/ingest",
    "loop, metrics": r"consumers/|asyncio|selectors|prometheus|service/metrics|benchmarks/",
}
"""Stage → what its innermost known frame looks like (function, file and line). The first one counts."""

_WAITING = re.compile(
    r"(selectors\.py|threading\.py|_worker \(concurrent/futures/thread\.py):\d+\)$"
)
_STARTING = "importlib._bootstrap"


@dataclass(frozen=True, slots=True)
class Stack:
    """One call stack, outermost frame first, and how often it was seen."""

    frames: Sequence[str]
    samples: int

    @property
    def stage(self) -> str:
        """The stage of the innermost frame that belongs to one."""
        for frame in reversed(self.frames):
            for stage, pattern in STAGES.items():
                if re.search(pattern, frame):
                    return stage
        return "other"

    @property
    def works(self) -> bool:
        """Whether it is ingest at work: not waiting, not importing modules."""
        waits = not self.frames[-1] or _WAITING.search(self.frames[-1])
        return not waits and not any(_STARTING in frame for frame in self.frames)


def take(bed: Bed, folder: Path, core: int) -> tuple[str, str]:
    """Profile one run of the whole path; the page and the flame graph."""
    raw = folder / "stacks.txt"
    recorder = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    command = [recorder, "record", "--format=raw", f"--rate={_RATE}", f"--output={raw}", "--"]
    found = run_lorikeet(bed, folder / "profiled", (core,), profiler=command)
    stacks = [stack for stack in read(raw.read_text()) if stack.works]
    page = [
        "# Where ingest's time goes",
        "",
        f"Made by `make bench-ingest ARGS=--profile` on {datetime.now(UTC).date().isoformat()}: py-spy,",
        f"{_RATE} samples a second, of one process that takes {bed.events:,} events on one core",
        f"({found.rate:,.0f} events/s and {found.cpu_micros:.1f} µs of CPU an event under the profiler).",
        "A sample counts for the innermost frame that a stage knows; waiting and starting are left out.",
        "",
        "![flame graph](ingest-profile.svg)",
        "",
        *_by_stage(stacks, found.cpu_micros),
        "",
        *_by_function(stacks),
        "",
    ]
    return "\n".join(page), flame.graph(_merged(stacks))


def read(raw: str) -> Iterator[Stack]:
    """Stacks of py-spy's raw format: frames joined by semicolons, a count behind."""
    for line in raw.splitlines():
        frames, _, count = line.rpartition(" ")
        yield Stack(frames.split(";"), int(count))


def _merged(stacks: Sequence[Stack]) -> Counter[tuple[str, ...]]:
    """Samples by functions, without their lines."""
    found: Counter[tuple[str, ...]] = Counter()
    for stack in stacks:
        found[tuple(re.sub(r":\d+\)$", ")", frame) for frame in stack.frames)] += stack.samples
    return found


def _by_stage(stacks: Sequence[Stack], micros: float) -> list[str]:
    found: Counter[str] = Counter()
    for stack in stacks:
        found[stack.stage] += stack.samples
    total = found.total()
    lines = ["| stage | share | µs/event |", "|---|--:|--:|"]
    for stage, samples in found.most_common():
        lines.append(f"| {stage} | {samples / total:.1%} | {micros * samples / total:.1f} |")
    return lines


def _by_function(stacks: Sequence[Stack]) -> list[str]:
    own: Counter[tuple[str, str]] = Counter()
    for stack in stacks:
        own[stack.stage, re.sub(r":\d+\)$", ")", stack.frames[-1])] += stack.samples
    total = own.total()
    lines = [
        "| function (own time, with what it calls outside Python) | stage | share |",
        "|---|---|--:|",
    ]
    for (stage, function), samples in own.most_common(_ROWS):
        lines.append(f"| `{function}` | {stage} | {samples / total:.1%} |")
    return lines
