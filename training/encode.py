"""Conversations as token sequences: what the loss is on, and what it is not.

Every assistant turn of an example becomes one sequence: the prompt as serving would render it, then
the answer. The answer must continue the prompt's text exactly, else the chat template could not have
produced it in serving either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from schemas.chat import first_answer, template_turn
from schemas.errors import Code, Unrecoverable
from schemas.jobs import Targets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Turn = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """Token ids of a prompt and its answer, and the example's weight."""

    prompt: list[int]
    answer: list[int]
    weight: float

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(slots=True)
class Encoded:
    """Sequences, and how many had to be shortened (their oldest prompt tokens cut) or dropped."""

    sequences: list[Sample]
    shortened: int = 0
    dropped: int = 0


def render(
    tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], tools: Sequence[Any], *, ask: bool
) -> str:
    """The conversation as the model sees it; with `ask`, up to where it begins to answer."""
    text = tokenizer.apply_chat_template(
        [template_turn(turn) for turn in turns],
        tools=list(tools) or None,
        tokenize=False,
        add_generation_prompt=ask,
    )
    return str(text)


def prompt_ids(
    tokenizer: PreTrainedTokenizerFast, turns: Sequence[Turn], tools: Sequence[Any]
) -> list[int]:
    """Token ids of a prompt that asks for an answer."""
    ids = tokenizer(render(tokenizer, turns, tools, ask=True), add_special_tokens=False)
    return list(ids["input_ids"])


def encode(
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[Turn],
    max_length: int,
    *,
    reserve: int = 0,
    targets: Targets = "all",
) -> Encoded:
    """Sequences of at most `max_length` tokens from examples {messages, tools, weight}.

    `reserve` tokens are kept for the answer whatever its length: if prompts were cut to what each
    answer leaves, the length of a cut prompt would tell the model how long its answer has to be.
    """
    encoded = Encoded([])
    reserve = min(reserve, max_length // 2)
    for example in examples:
        turns, tools = example["messages"], example.get("tools") or ()
        for index in _targets(turns, targets):
            before = render(tokenizer, turns[:index], tools, ask=True)
            whole = render(tokenizer, turns[: index + 1], tools, ask=False)
            if not whole.startswith(before):
                raise Unrecoverable(
                    Code.BAD_JOB, "the chat template does not render an answer after its prompt"
                )
            prompt = tokenizer(before, add_special_tokens=False)["input_ids"]
            answer = tokenizer(whole[len(before) :], add_special_tokens=False)["input_ids"]
            room = max_length - max(len(answer), reserve)
            _add(encoded, list(prompt), list(answer), example.get("weight", 1.0), room)
    return encoded


def _targets(turns: Sequence[Turn], targets: Targets) -> list[int]:
    """The assistant turns to learn; never one that nothing came before, nor a mere greeting."""
    return [
        index
        for index in range(max(first_answer(turns), 1), len(turns))
        if turns[index]["role"] == "assistant"
        and (targets == "all" or turns[index].get("tool_calls"))
    ]


def _add(encoded: Encoded, prompt: list[int], answer: list[int], weight: float, room: int) -> None:
    if room < 1 or not answer:
        encoded.dropped += 1
        return
    if len(prompt) > room:
        encoded.shortened += 1
        prompt = prompt[-room:]
    encoded.sequences.append(Sample(prompt, answer, weight))


def batches(
    sequences: Sequence[Sample], size: int, steps: int, generator: torch.Generator
) -> Iterator[list[Sample]]:
    """`steps` batches, epochs shuffled, sequences of like length together to save padding."""
    waiting: list[list[int]] = []
    for _ in range(steps):
        if not waiting:
            waiting = _epoch([len(s) for s in sequences], size, generator)
        yield [sequences[index] for index in waiting.pop()]


def _epoch(lengths: Sequence[int], size: int, generator: torch.Generator) -> list[list[int]]:
    order = torch.randperm(len(lengths), generator=generator).tolist()
    span = size * 16
    found = []
    for start in range(0, len(order), span):
        chunk = sorted(order[start : start + span], key=lengths.__getitem__)
        found += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    return [found[i] for i in torch.randperm(len(found), generator=generator).tolist()]


@dataclass(frozen=True, slots=True)
class Batch:
    """Left-padded tensors of shape (batch, length). `weights` are per predicted token."""

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    tail: int
    """How many positions at the end carry any loss."""


def collate(rows: Sequence[Sample], pad: int, prompt_weight: float, where: torch.device) -> Batch:
    """One batch: answers weigh their example's weight, prompts `prompt_weight` times that."""
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.long)
    weights = torch.zeros((len(rows), length))
    for index, row in enumerate(rows):
        start = length - len(row)
        ids[index, start:] = torch.tensor(row.prompt + row.answer)
        mask[index, start:] = 1
        weights[index, start + 1 :] = row.weight * prompt_weight
        weights[index, length - len(row.answer) :] = row.weight
    tail = length if prompt_weight else max(len(row.answer) for row in rows)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    return Batch(ids.to(where), mask.to(where), positions.to(where), weights.to(where), tail)
