"""Runs of MINT, InterCode and the tau family as one shape, for what is measured on several of them.

A domain is what its source calls one: in MINT the last part of the file's name (alfworld, gsm8k,
hotpotqa, humaneval, math, mbpp, mmlu, theoremqa), in InterCode the environment (sql, bash), in the tau
family the shop (airline, retail). Fields that hold reference answers are never read. MINT's instructions
and worked examples are left out: they are the same for every task of a file and would give it away.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.imports.port import Format, Imported
from processors.imports.tau2 import tau2
from processors.imports.tau_bench import tau_bench
from schemas.chat import Message
from schemas.digests import sha256_hex

Turns = list[dict[str, Any]]
_FAULTS = re.compile(r"Traceback \(most recent call last\)|^\w*(?:Error|Exception):", re.MULTILINE)
_TAU = (("tau2-sft-ab", tau2), ("tau2-judge-airline", tau2), ("tau-bench-airline-gpt4o", tau_bench))


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `turns` are chat messages, `error` marking tool results that failed.

    `task` is the same for all runs of a task, and for a task that two data sets share. `success` is None
    where the infrastructure failed, `hardness` where the source does not say it.
    """

    source: str
    domain: str
    task: str
    id: str
    turns: Turns
    success: bool | None
    hardness: str | None = None


def read(data: Path) -> list[Run]:
    """All runs: MINT, InterCode, tau2 and tau-bench, in the order of the files' names."""
    return [*mint(data), *intercode(data), *tau(data)]


def halves(runs: Sequence[Run], salt: str = "") -> list[bool]:
    """Whether each run is in the first half of its domain's tasks, by a salted hash of the task."""
    tasks: dict[str, set[str]] = {}
    for run in runs:
        tasks.setdefault(run.domain, set()).add(run.task)
    first = {
        task
        for known in tasks.values()
        for task in sorted(known, key=lambda t: sha256_hex(f"{salt}{t}".encode()))[::2]
    }
    return [run.task in first for run in runs]


def mint(data: Path) -> Iterator[Run]:
    """586 tasks, nine runs each. Household tasks with the same words count as one task."""
    named: dict[tuple[str, object], str] = {}
    for path in sorted((data / "mint").glob("*.jsonl.gz")):
        domain = path.name.removesuffix(".jsonl.gz").rsplit("__", 1)[-1]
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            record = json.loads(line)
            state, task = record["state"], record["task"]
            failed = state.get("terminate_reason") == "error"
            words = sha256_hex(task["prompt"].encode())[:16]
            yield Run(
                "mint",
                domain,
                f"mint/{domain}/{named.setdefault((domain, task['task_id']), words)}",
                f"{path.name}/{task['task_id']}",
                [{"role": "user", "content": task["prompt"]}, *_mint_turns(state["history"][1:])],
                None if failed else bool(state["success"]),
            )


def _mint_turns(history: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What the environment answered is a tool's result; that an answer is wrong is no tool's error."""
    for turn in history:
        if turn["role"] == "assistant":
            yield {"role": "assistant", "content": turn["content"]}
        else:
            fault = _FAULTS.search(turn["content"]) is not None
            yield {"role": "tool", "content": turn["content"], "error": fault}


def intercode(data: Path) -> Iterator[Run]:
    """1,034 tasks in SQL, 200 in bash; several models and strategies each."""
    for path in sorted((data / "intercode-sql-bash").rglob("*.json.gz")):
        content = json.loads(gzip.decompress(path.read_bytes()))
        logs = content.get("logs", content)
        for key, record in logs.items():
            domain = record["environment"].removeprefix("ic_")
            yield Run(
                "intercode",
                domain,
                f"intercode/{domain}/{sha256_hex(record['query'].encode())[:16]}",
                f"{path.parent.name}/{path.name}/{key}",
                [{"role": "user", "content": record["query"]}, *_steps(record["turn_history"])],
                record["summary"]["max_reward"] == 1,
                record.get("hardness"),
            )


def _steps(history: dict[str, Any]) -> Iterator[dict[str, Any]]:
    thoughts = history.get("thoughts") or [""] * len(history["actions"])
    for action, thought, seen, valid in zip(
        history["actions"], thoughts, history["observations"], history["valid_action"], strict=False
    ):
        yield {"role": "assistant", "content": f"{thought}\n{action}".strip()}
        yield {"role": "tool", "content": str(seen), "error": not valid}


def tau(data: Path) -> Iterator[Run]:
    """Airline and retail; task n of the airline is one task, whichever benchmark ran it."""
    for folder, form in _TAU:
        for path in sorted((data / folder).glob("*.json.gz")):
            if "summary" not in path.name and "gold" not in path.name:
                yield from _tau(path, folder, form)


def _tau(path: Path, folder: str, form: Format) -> Iterator[Run]:
    for event in form(path.name, [gzip.decompress(path.read_bytes())]):
        if isinstance(event, Imported):
            task = event.data["task"]
            yield Run(
                folder,
                task["domain"],
                f"tau/{task['domain']}/{task['id'].rsplit('/', 1)[-1]}",
                event.data["execution_id"],
                [_tau_turn(turn) for turn in event.data["messages"]],
                event.data["outcome"]["status"] == "success",
            )


def _tau_turn(turn: dict[str, Any]) -> dict[str, Any]:
    """A canonical turn and whether it failed; the first tau-bench says so in its text alone."""
    read = Message.model_validate(turn)
    failed = read.error if read.error is not None else read.text().startswith("Error")
    return {**read.canonical(), "error": failed} if read.role == "tool" else read.canonical()
