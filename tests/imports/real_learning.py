"""A tiny model learns tool calls from sealed real traces; what it answers to people it never met.

The base has read what was said in both shops and what the airline's agents called, but no retail call:
there is something to learn, and something to keep. All of it comes from the train split.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.evaluation.graders import tool_call
from processors.evaluation.stages import ValidationSettings, benchmark
from schemas.chat import parse_answer
from schemas.datasets import Example, Split
from schemas.jobs import JobSpec, LoraSettings, SftSettings, TinySettings
from schemas.verdicts import Measure
from tests import trainer

KNOWN = "airline"
ANSWER = 48
"""Longest answer, in tokens; longer right answers count as not reached."""
_LENGTH = 160
_RESAMPLES = 2_000
_FRAME = ('{"name": "', '", "arguments": {"', '": "', '", "', '"}}')
_PLACEHOLDER = re.compile(r"<[A-Z]+_[0-9]+>")
TINY = TinySettings(
    hidden=128,
    heads=4,
    vocabulary=1_500,
    steps=200,
    prompt_loss_weight=1.0,
    max_positions=_LENGTH,
)
SFT = SftSettings(
    lora=LoraSettings(rank=16, alpha=32, dropout=0.0, target_modules=trainer.LINEARS),
    learning_rate=5e-3,
    batch_size=16,
    epochs=100,
    max_steps=160,
    max_length=_LENGTH,
    targets="tool_calls",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A state that somebody's agent was in, and what it called then."""

    case_id: str
    user: str
    domain: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    called: dict[str, Any]

    def asked(self) -> dict[str, Any]:
        """What the model gets to see."""
        return {"case_id": self.case_id, "messages": self.messages, "tools": self.tools}


def cases(examples: Sequence[Example]) -> list[Case]:
    """Every call of the test split, none left out."""
    return [
        Case(
            f"{example.row_id}/{index}",
            str(example.user),
            str(example.domain),
            list(example.messages[:index]),
            list(example.tools),
            turn,
        )
        for example in examples
        if example.split is Split.TEST
        for index, turn in enumerate(example.messages)
        if turn.get("tool_calls")
    ]


def make_base(folder: Path, examples: Sequence[Example], seed: int) -> Path:
    """A tiny model of the train split: all that was said, and what the airline's agents called."""
    corpus = [
        {"messages": [t for t in e.messages if e.domain == KNOWN or not t.get("tool_calls")]}
        for e in examples
        if e.split is Split.TRAIN
    ]
    common = Counter(_PLACEHOLDER.findall(json.dumps(corpus)))
    frequent = sorted(name for name, count in common.items() if count >= 20)
    tiny = TINY.model_copy(update={"frame_tokens": (*frequent, *_FRAME)})
    job = JobSpec(job_id="base", kind="make_base", tiny=tiny, seed=seed, max_new_tokens=ANSWER)
    return _run(trainer.stage(folder, job, corpus=corpus)) / "base"


def train(folder: Path, base: Path, seed: int) -> Path:
    """An adapter from the sealed dataset that lies in the job folder."""
    job = trainer.spec("train", base, sft=SFT, seed=seed, max_new_tokens=ANSWER)
    return _run(trainer.stage(folder, job)) / "adapter"


def right(folder: Path, base: Path, adapter: Path, asked: Sequence[Case]) -> dict[str, list[bool]]:
    """Whether base and adapter call what was called, by arm, in the order of the cases."""
    arms = {"base": "", "adapter": str(adapter)}
    job = trainer.spec("generate", base, adapters=arms, max_new_tokens=ANSWER)
    lines = [case.asked() for case in asked]
    attempt = _run(trainer.stage(folder, job, cases=lines))
    written = {
        (line["arm"], line["case_id"]): parse_answer(line["text"])
        for line in map(json.loads, (attempt / "outputs.jsonl").read_text().splitlines())
    }
    return {
        arm: [tool_call(case.called, written[arm, case.case_id]) for case in asked] for arm in arms
    }


def constant(examples: Sequence[Example], asked: Sequence[Case]) -> list[bool]:
    """What is right if the most frequent call of the train split is the answer to everything."""
    calls = [
        json.dumps(turn["tool_calls"])
        for example in examples
        if example.split is Split.TRAIN
        for turn in example.messages
        if turn.get("tool_calls")
    ]
    always = {"tool_calls": json.loads(Counter(calls).most_common(1)[0][0])}
    return [tool_call(case.called, always) for case in asked]


def gain(better: Sequence[bool], worse: Sequence[bool]) -> Measure:
    """The paired difference as validation takes it, with its 95 % interval."""
    (measure,) = benchmark(better, worse, ValidationSettings()).measures
    return measure


def by_person(
    asked: Sequence[Case], better: Sequence[bool], worse: Sequence[bool]
) -> tuple[float, float]:
    """The paired difference's 95 % interval where people are drawn, each with all their calls."""
    people: dict[str, list[int]] = defaultdict(list)
    for case, a, b in zip(asked, better, worse, strict=True):
        people[case.user].append(a - b)
    groups, dice = list(people.values()), random.Random(0)
    means = []
    for _ in range(_RESAMPLES):
        drawn = [d for group in dice.choices(groups, k=len(groups)) for d in group]
        means.append(sum(drawn) / len(drawn))
    means.sort()
    return means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1]


def _run(folder: Path) -> Path:
    result = trainer.train(folder)
    assert result.ok, result.error
    return trainer.attempt(folder)
