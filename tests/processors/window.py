"""A window of some thousand records with everything in it that a seal has to deal with.

Deterministic in its seed. Run as a program it computes rows or the digest in a process of its own:

    python -m tests.processors.window rows OUT TOPIC:PARTITION …     curate these partitions
    python -m tests.processors.window digest                         curate all and seal
"""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from processors.curation.curate import Curator
from processors.curation.duplicates import Seen
from processors.curation.policy import CurationPolicy
from schemas.datasets import GoldenCase, Recipe
from schemas.events import EXECUTION, FEEDBACK
from schemas.records import Record, TopicPartition
from schemas.rows import Row
from tests.sealing import Sealed, choose_golden, seal
from tests.support import NOW, TOOLS, call, edit, erasure, event, execution, record, thumb

PLAIN, FAMILIES, CHAINS, OUTLIERS = 2_900, 250, 40, 40
POLICY = CurationPolicy(hmac_key=b"key")
RECIPE = Recipe(max_outlier_score=0.62)
OLD_TOOL = {"type": "function", "function": {"name": "old", "parameters": {}}}
BEYOND = 25
"""Records a partition that lie beyond the frozen offsets."""
Dice = random.Random
Partitions = dict[TopicPartition, list[Record]]


def _words(dice: Dice, count: int = 16) -> list[str]:
    return [f"word{dice.randrange(5_000)}" for _ in range(count)]


def _prompts(dice: Dice) -> list[list[str]]:
    """Prompts: unlike ones, families of near and exact duplicates, chains A ~ B ~ C with A ≁ C."""
    found = [_words(dice) for _ in range(PLAIN)]
    for _ in range(FAMILIES):
        base = _words(dice)
        found += [base, [*base[:-1], "else"], ["instead", *base[1:]], base[:]]
    for _ in range(CHAINS):
        base = _words(dice)
        found += [base, [*base[:-1], "x"], ["y", *base[1:-1], "x"]]
    return found + [_words(dice, dice.randrange(800, 3_000)) for _ in range(OUTLIERS)]


def _run(number: int, words: list[str], dice: Dice) -> dict[str, Any]:
    """`data` of one run; runs 4n…4n+3 are of one user, 2n and 2n+1 of one session."""
    calls = [call(to=dice.choice(words)) for _ in range(30 if len(words) > 100 else 1)]
    chance = dice.random()
    status = "success" if chance < 0.85 else "partial" if chance < 0.9 else "failure"
    stale = number % 40 == 7
    own = {"adapter_digest": "a" * 64, "arm": "stable"} if dice.random() < 0.65 else {}
    return execution(
        execution_id=f"run-{number}",
        task={
            "prompt": "",
            "id": f"task-{number - number % 2 if number % 50 < 2 else number}",
            "domain": ("rail", "air", "sea")[number % 3],
            "reference": None,
        },
        messages=[
            {"role": "system", "content": "you book trips"},
            {"role": "user", "content": " ".join(words)},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "ok"},
        ],
        tools=None if number % 60 == 11 else [*TOOLS, OLD_TOOL] if stale else TOOLS,
        outcome={"status": status},
        model={"name": "m", **own, **({"arm": "shadow"} if number % 90 == 5 else {})},
        session_id=f"session-{number // 2}",
        user_id=f"user-{number // 4}",
    ) | ({"messages": _stale(words)} if stale else {})


def _stale(words: list[str]) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": " ".join(words)},
        {"role": "assistant", "content": None, "tool_calls": [call("old")]},
    ]


def _said(number: int) -> list[tuple[dict[str, Any], float]]:
    """What was said of a run, each with its delay in days: some of it long after, some before."""
    run = f"run-{number}"
    fixed = [call(to=f"right-{number}")]
    spoken: dict[int, list[tuple[dict[str, Any], float]]] = {
        0: [(edit(run, fixed), 0.1)],
        1: [(thumb(run), 0.0), (thumb(run, -1, author="cy"), -0.2)],
        2: [(thumb(run, -1), 0.1)],
        3: [(edit(run, [call(to="wrong")]), 0.1), (edit(run, fixed), 5.0)],
        4: [(edit(run, fixed), 0.1), (edit(run, [], author="di", author_role="reviewer"), 3.0)],
        5: [(thumb(run, 0.9, kind="score"), 0.5)],
        6: [(thumb(run, "accept", kind="decision", author_role="reviewer"), 1.0)],
        8: [(thumb(run), 0.0)],
        7: [(thumb(run, "reject", kind="decision", author_role="reviewer"), 1.0)],
    }
    return spoken.get(number % 32, [])


def partitions(seed: int = 0) -> Partitions:
    """All records: three partitions of runs, two of feedback."""
    dice = Dice(seed)
    prompts = _prompts(dice)
    order = list(range(len(prompts)))
    dice.shuffle(order)
    found: Partitions = {}
    for place, number in enumerate(order):
        days = 33 * (1 - place / len(order))
        run = _event(f"e-{number}", EXECUTION, _run(number, prompts[number], dice), days)
        for copy in range(2 if number % 70 == 3 else 1):  # sent twice, to whichever partition
            _append(found, EXECUTION, dice.randrange(3) if not copy else number // 70 % 3, run)
        for part, (said, delay) in enumerate(_said(number)):
            opinion = _event(f"f-{number}-{part}", FEEDBACK, said, days - delay)
            _append(found, FEEDBACK, dice.randrange(2), opinion)
    for part, subject in enumerate(
        [
            *({"user_id": f"user-{n}"} for n in range(0, 100, 10)),
            *({"session_id": f"session-{n}"} for n in range(801, 805)),
            {"source": "urn:test", "execution_id": "run-2000"},
        ]
    ):
        _append(found, FEEDBACK, 0, _event(f"x-{part}", FEEDBACK, erasure(**subject), 3))
    for partition in range(3):
        _append(found, EXECUTION, partition, b"not json")
        for extra in range(BEYOND):
            late = _run(10_000 + 30 * partition + extra, _words(dice), dice)
            body = _event(f"late-{partition}-{extra}", EXECUTION, late, 0)
            _append(found, EXECUTION, partition, body)
    for extra in range(BEYOND):
        for partition in range(2):
            body = _event(f"l-{partition}-{extra}", FEEDBACK, edit(f"run-{9 + 32 * extra}", []), 0)
            _append(found, FEEDBACK, partition, body)
    return found


def _event(name: str, kind: str, data: dict[str, Any], days_ago: float) -> dict[str, Any]:
    return event(kind, data, id=name, time=(NOW - timedelta(days=days_ago)).isoformat())


def _append(found: Partitions, topic: str, partition: int, body: dict[str, Any] | bytes) -> None:
    held = found.setdefault(TopicPartition(topic, partition), [])
    stamp = int(NOW.timestamp() * 1000)
    held.append(record(body, topic=topic, partition=partition, offset=len(held), timestamp=stamp))


def offsets_of(found: Partitions) -> dict[str, int]:
    """The frozen offsets: each partition without its last records."""
    return {f"c:{tp.topic}:{tp.partition}": len(held) - BEYOND for tp, held in found.items()}


def rows_of(found: Partitions, wanted: Iterable[TopicPartition] | None = None) -> list[Row]:
    """The rows that ingest makes of the wanted partitions."""
    curator = Curator("c", POLICY)
    rows = []
    for tp in wanted or found:
        seen = Seen(POLICY.dedupe_window_ms, POLICY.dedupe_rows)
        rows += [seen.judge(curator.row(each)) for each in found[tp]]
    return rows


@dataclass(frozen=True)
class SealedWindow:
    """Rows up to offsets, their dataset, and their dataset beside a golden set."""

    rows: list[Row]
    offsets: dict[str, int]
    sealed: Sealed
    golden: list[GoldenCase]
    beside: Sealed


def sealed_window() -> SealedWindow:
    """The window, sealed without and with a golden set."""
    found = partitions()
    rows, offsets = rows_of(found), offsets_of(found)
    golden = choose_golden(rows, RECIPE, offsets)
    alone, beside = seal(rows, RECIPE, offsets), seal(rows, RECIPE, offsets, golden)
    return SealedWindow(rows, offsets, alone, golden, beside)


def main(arguments: list[str]) -> None:
    """Compute what the arguments ask for."""
    found = partitions()
    if arguments[0] == "digest":
        print(seal(rows_of(found), RECIPE, offsets_of(found)).digest)
        return
    named = [name.split(":") for name in arguments[2:]]
    wanted = [TopicPartition(topic, int(partition)) for topic, partition in named]
    Path(arguments[1]).write_bytes(pickle.dumps(rows_of(found, wanted)))


if __name__ == "__main__":
    main(sys.argv[1:])
