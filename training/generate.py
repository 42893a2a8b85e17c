"""Greedy answers and their log-probabilities, in batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel

from training.encode import prompt_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote, token by token, with the log-probability of each."""

    text: str
    tokens: list[int]
    logprobs: list[float]


def using(model: Any, adapter: str) -> AbstractContextManager[Any]:
    """Answer with the named adapter; with '' as the base model would."""
    if not isinstance(model, PeftModel):
        return nullcontext()
    if not adapter:
        off: AbstractContextManager[Any] = model.disable_adapter()
        return off
    model.set_adapter(adapter)
    return nullcontext()


@torch.no_grad()
def answers(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    cases: Sequence[dict[str, Any]],
    max_new_tokens: int,
) -> list[Answer]:
    """The greedy answer to each case {messages, tools}, in the given order."""
    prompts = [prompt_ids(tokenizer, case["messages"], case.get("tools") or ()) for case in cases]
    longest = int(model.config.max_position_embeddings) - max_new_tokens
    prompts = [prompt[-longest:] for prompt in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    found: dict[int, Answer] = {}
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        batch = _generate(model, tokenizer, [prompts[index] for index in part], max_new_tokens)
        found.update(zip(part, batch, strict=True))
    return [found[index] for index in range(len(prompts))]


def _generate(
    model: Any, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[list[int]], limit: int
) -> Iterator[Answer]:
    padded = tokenizer.pad({"input_ids": list(prompts)}, return_tensors="pt").to(model.device)
    result = model.generate(
        **padded,
        max_new_tokens=limit,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
        return_dict_in_generate=True,
        output_logits=True,
    )
    written = result.sequences[:, padded["input_ids"].shape[1] :]
    scores = torch.stack(result.logits, dim=1).float().log_softmax(-1)
    chosen = scores.gather(-1, written.unsqueeze(-1)).squeeze(-1)
    for tokens, logprobs in zip(written.tolist(), chosen.tolist(), strict=True):
        end = tokens.index(tokenizer.eos_token_id) + 1 if tokenizer.eos_token_id in tokens else None
        kept = tokens[:end]
        text = tokenizer.decode(kept, skip_special_tokens=True)
        yield Answer(str(text), kept, [round(value, 6) for value in logprobs[: len(kept)]])
