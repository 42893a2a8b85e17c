"""Whether a sealed dataset leaks across its split. Knows nothing of how it was split.

A group (friends of friends by session, user, task, cluster, prompt or row) that is in two parts has a fact
that is in two parts: its members are joined by facts, and somewhere the part changes. So it is enough to
count the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.seal.conversation import asked
from schemas.datasets import Example, GoldenCase, Pair
from schemas.digests import sha256_hex

FACTS = ("row", "session", "user", "task", "cluster", "prompt", "prompt_digest")
GOLDEN = ("row", "session", "user", "task", "prompt_digest", "prompt")
SCHEMA = pa.schema([(name, pa.string()) for name in (*FACTS, "split")])
"""One line for each example and each side of a pair; null where a fact is not known.

`prompt` is a digest of what was asked, folded; `prompt_digest` what ingest said of it.
"""
Line = dict[str, str | None]


def example_lines(example: Example) -> Iterator[Line]:
    """What an example must not share with another part; the row of its edit is one of its own."""
    facts: Line = {
        "session": example.session,
        "user": example.user,
        "task": example.task,
        "cluster": example.cluster,
        "prompt": _prompt(example.messages),
        "prompt_digest": example.prompt_digest or None,
        "split": str(example.split),
    }
    yield {**facts, "row": example.row_id}
    if example.label_row is not None:
        yield {"row": example.label_row, "split": str(example.split)}


def pair_lines(pair: Pair) -> Iterator[Line]:
    """The same of a pair's two sides."""
    for row in (pair.chosen_row, pair.rejected_row):
        yield {"row": row, "prompt": _prompt(pair.messages), "split": str(pair.split)}


def crossing(lines: pa.Table) -> dict[str, int]:
    """How many values of each fact are in more than one part."""
    found = {}
    for fact in FACTS:
        known = lines.select([fact, "split"]).drop_null()
        parts = known.group_by(fact).aggregate([("split", "count_distinct")])
        found[fact] = int(pc.sum(pc.greater(parts["split_count_distinct"], 1)).as_py() or 0)
    return found


def golden_inside(lines: pa.Table, cases: Sequence[GoldenCase]) -> dict[str, int]:
    """How many lines share a row, a task or a prompt with a golden case, by fact."""
    held: dict[str, Iterable[str]] = {
        "row": {case.case_id for case in cases},
        "session": {case.session for case in cases if case.session},
        "user": {case.user for case in cases if case.user},
        "task": {case.task for case in cases},
        "prompt_digest": {case.prompt_digest for case in cases if case.prompt_digest},
        "prompt": {p for case in cases if (p := _prompt(case.messages)) is not None},
    }
    return {
        fact: int(
            pc.sum(pc.is_in(lines[fact], pa.array(sorted(held[fact]), pa.string()))).as_py() or 0
        )
        for fact in GOLDEN
    }


def _prompt(messages: Sequence[dict[str, object]]) -> str | None:
    text = asked(messages)
    return sha256_hex(text.encode("utf-8", "surrogatepass")) if text else None
