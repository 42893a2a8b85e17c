"""Real plans as events: PlanBench's with the validator's word, WorfBench's graphs without one."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ENGINES = ("claude-3.5-sonnet_aws", "gpt-4o_chat", "o1-preview_chat")
_NODE = re.compile(r"^(\d+)\s*[:.]\s*(.+)$", re.MULTILINE)
_EDGE = re.compile(r"\((\w+)\s*,\s*(\w+)\)")
MODEL = "planner"


def events(data: Path) -> Iterator[dict[str, Any]]:
    """`planning.completed` events of both sets, in no particular order."""
    for engine in _ENGINES:
        name = f"results__blocksworld_3__{engine}__t1_zero_shot.json.gz"
        for one in _read(data / "planbench" / name)["instances"]:
            if one.get("extracted_llm_plan"):
                yield _event(f"planbench/{engine}/{one['instance_id']}", _checked(one))
    for one in _read(data / "worfbench-plans" / "wikihow_graph_eval.json.gz"):
        plan = _graph(one)
        if plan is not None:
            yield _event(f"worfbench/{one['id']}", plan)


def _read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def _event(name: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": "urn:realdata:" + name.partition("/")[0],
        "type": "planning.completed",
        "time": "2026-03-01T12:00:00Z",
        "data": {
            "plan_id": name,
            "agent_id": "planner",
            "model": {"name": MODEL},
            "trust": "verified",
            **data,
        },
    }


def _checked(one: dict[str, Any]) -> dict[str, Any]:
    """A sequence of actions, each after the one before; the goal is what was stated last."""
    actions = [line.strip() for line in one["extracted_llm_plan"].splitlines() if line.strip()]
    steps = [
        {"id": str(n), "description": action, "depends_on": [str(n - 1)] if n else []}
        for n, action in enumerate(actions)
    ]
    goal = one["query"].rpartition("[STATEMENT]")[2].strip()
    return {"goal": goal, "domain": "blocksworld", "valid": one["llm_correct"], "steps": steps}


def _graph(one: dict[str, Any]) -> dict[str, Any] | None:
    """A workflow of nodes and edges; None where it is written in another form."""
    _, asked, answer = (turn["content"] for turn in one["conversations"])
    nodes, _, edges = answer.partition("Edge")
    known = dict(_NODE.findall(nodes))
    after: dict[str, list[str]] = {number: [] for number in known}
    for begin, end in _EDGE.findall(edges):
        if begin in known and end in known:
            after[end].append(begin)
    if not known or not _EDGE.search(edges):
        return None
    steps = [
        {"id": number, "description": text, "depends_on": after[number]}
        for number, text in known.items()
    ]
    return {"goal": asked, "domain": "household", "steps": steps}
