"""Window, erasures and feedback: which runs may become examples, and with what answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from processors.curation.seal.feedback import Feedback, collect_feedback
from schemas.chat import first_answer
from schemas.datasets import Recipe
from schemas.events import EXECUTION, FEEDBACK
from schemas.rows import Disposition, Row

CORRECTION, RUN = "correction", "run"
Subjects = set[frozenset[tuple[str, Any]]]
_SHAPES = (
    ("tenant", "user"),
    ("tenant", "session"),
    ("tenant", "source"),
    ("tenant", "source", "execution_id"),
    ("tenant", "source", "plan_id"),
)
_DROPPED = (Disposition.DUPLICATE, Disposition.DEAD_LETTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A run that may be sealed. `row` is its event, `label_row` the edit that gave the answer."""

    row: Row
    label_row: Row | None
    messages: tuple[dict[str, Any], ...]
    tools: tuple[dict[str, Any], ...]
    kind: str
    weight: float
    cluster: int = -1

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Canonical order: by where the event lies in Kafka."""
        return order(self.row)

    @property
    def rank(self) -> tuple[Any, ...]:
        """Which of two equals is kept: the correction, then the heavier, then the earlier."""
        return (self.kind != CORRECTION, -self.weight, self.key)


def order(row: Row) -> tuple[str, str, int, int]:
    """Canonical order of rows."""
    return row.cluster, row.topic, row.partition, row.offset


def select(
    rows: Iterable[Row], recipe: Recipe, offsets: Mapping[str, int]
) -> tuple[list[Candidate], Counter[str]]:
    """The candidates of a window in canonical order, and why the others were left out."""
    inside = sorted((row for row in rows if _covered(row, offsets)), key=order)
    erased = _erasures(inside)
    said = (row for row in inside if row.type == FEEDBACK and not _erased(row, erased))
    feedback = collect_feedback(said)
    runs = [row for row in inside if row.type == EXECUTION and row.disposition not in _DROPPED]
    start = _window_start(runs, recipe)
    dropped: Counter[str] = Counter()
    found: list[Candidate] = []
    seen: set[tuple[str | None, ...]] = set()
    for row in runs:
        reason = _outside(row, start, erased, seen)
        chosen = reason or _choose(row, feedback.of(row), recipe)
        if isinstance(chosen, str):
            dropped[chosen] += 1
        else:
            found.append(chosen)
    return _drop_stale_tools(found, runs, dropped), dropped


def _covered(row: Row, offsets: Mapping[str, int]) -> bool:
    return row.offset < offsets.get(row.partition_key, 0)


def _window_start(runs: Sequence[Row], recipe: Recipe) -> datetime | None:
    if recipe.since is not None:
        return recipe.since
    times = [row.event_time for row in runs if row.event_time]
    return max(times) - timedelta(days=recipe.window_days) if times else None


def _outside(
    row: Row,
    start: datetime | None,
    erased: Subjects,
    seen: set[tuple[str | None, ...]],
) -> str | None:
    if start and row.event_time and row.event_time < start:
        return "outside_window"
    if _erased(row, erased):
        return "erased"
    identity = (row.tenant, row.source, row.id)
    if identity in seen:
        return "duplicate_across_partitions"
    seen.add(identity)
    return "shadow" if row.arm == "shadow" else None


def _erasures(rows: Iterable[Row]) -> Subjects:
    return {
        frozenset({**json.loads(row.subject), "tenant": row.tenant}.items())
        for row in rows
        if row.subject and row.disposition is Disposition.ACCEPTED
    }


def _erased(row: Row, erased: Subjects) -> bool:
    facts = {
        "tenant": row.tenant,
        "user": row.user,
        "session": row.session,
        "source": row.source,
        "execution_id": row.run_id,
        "plan_id": row.plan_id,
    }
    return any(frozenset((name, facts[name]) for name in shape) in erased for shape in _SHAPES)


def _choose(row: Row, feedback: Feedback, recipe: Recipe) -> Candidate | str:
    """The candidate, or the reason why there is none."""
    content = json.loads(row.content) if row.content else None
    if content is None:
        return "no_text"
    if feedback.decision == "reject":
        return "rejected_by_person"
    edit = feedback.edit
    if edit is None:
        refusal = _refusal(row, feedback, recipe)
        if refusal:
            return refusal
    tools = content.get("tools")
    if recipe.require_tools and not tools:
        return "no_tools"
    messages = _conversation(content["messages"], edit)
    if messages is None:
        return "no_answer"
    return Candidate(
        row=row,
        label_row=edit,
        messages=messages,
        tools=tuple(tools or ()),
        kind=CORRECTION if edit else RUN,
        weight=feedback.weight,
    )


def _refusal(row: Row, feedback: Feedback, recipe: Recipe) -> str | None:
    if feedback.reward is not None and feedback.reward < 0:
        return "negative_feedback"
    if feedback.decision == "accept":
        return None
    if row.disposition is not Disposition.ACCEPTED:
        return f"ingest_{row.disposition}"
    if row.quality is not None and row.quality < recipe.min_quality:
        return "low_quality"
    if row.confidence is not None and row.confidence < recipe.min_confidence:
        return "low_confidence"
    return None


def _conversation(
    messages: Sequence[dict[str, Any]], edit: Row | None
) -> tuple[dict[str, Any], ...] | None:
    """The turns up to the last answer. An edit replaces everything from the first answer on,
    unless it brings the whole conversation itself (its first turn is not an assistant's).
    """
    turns = list(messages)
    if edit is not None and edit.content:
        corrected = json.loads(edit.content)
        new = corrected.get("messages") or [
            {"role": "assistant", "content": _answer(corrected.get("answer"))}
        ]
        if new[0]["role"] == "assistant":
            new = turns[: first_answer(turns)] + new
        turns = new
    if not 0 < first_answer(turns) < len(turns):
        return None
    last = max(i for i, t in enumerate(turns) if t["role"] == "assistant")
    return tuple(turns[: last + 1])


def _answer(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _drop_stale_tools(
    found: Sequence[Candidate], runs: Sequence[Row], dropped: Counter[str]
) -> list[Candidate]:
    """Leave out answers that call a tool which the agent's newest definitions no longer have."""
    newest: dict[tuple[str | None, str | None], tuple[Any, Row]] = {}
    for row in runs:
        agent = (row.agent, row.domain)
        stamp = (row.event_time, order(row))
        if row.tools_digest and (agent not in newest or stamp > newest[agent][0]):
            newest[agent] = (stamp, row)
    names = {agent: _tool_names(row) for agent, (_, row) in newest.items()}
    kept = []
    for candidate in found:
        known = names.get((candidate.row.agent, candidate.row.domain))
        if known and not _called(candidate) <= known:
            dropped["stale_tools"] += 1
        else:
            kept.append(candidate)
    return kept


def _tool_names(row: Row) -> frozenset[str]:
    tools = json.loads(row.content).get("tools") if row.content else None
    return frozenset(_tool_name(tool) for tool in tools or ())


def _tool_name(tool: Mapping[str, Any]) -> str:
    inner = tool.get("function")
    return str((inner if isinstance(inner, dict) else tool).get("name"))


def _called(candidate: Candidate) -> set[str]:
    return {call["name"] for turn in candidate.messages for call in turn.get("tool_calls") or ()}


def with_cluster(candidate: Candidate, cluster: int) -> Candidate:
    """The same candidate, told which near-duplicate cluster it belongs to."""
    return replace(candidate, cluster=cluster)
