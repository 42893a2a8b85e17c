"""The probe: does a saved adapter, loaded anew, behave as it did when it was trained?

The trainer records greedy answers and log-probabilities on a few prompts. A fresh process loads the
files and must find the same ones, other ones than the base model's, and no degenerate text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from training.generate import Answer, answers, using

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CASES = 8
TOLERANCE = 5e-3
"""Largest difference of a log-probability between trainer and probe."""
_LOOP = 8


def expected(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[dict[str, Any]],
    max_new_tokens: int,
) -> list[dict[str, Any]]:
    """What the adapter under the trainer's hands answers: the record a probe compares with."""
    cases = [
        {"messages": _asked(example["messages"]), "tools": example.get("tools") or []}
        for example in examples[:CASES]
    ]
    model.eval()
    return [
        {**case, "text": answer.text, "tokens": answer.tokens, "logprobs": answer.logprobs}
        for case, answer in zip(
            cases, answers(model, tokenizer, cases, max_new_tokens), strict=True
        )
    ]


def probe(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    record: Sequence[dict[str, Any]],
    adapter: str,
    max_new_tokens: int,
) -> dict[str, Any]:
    """Compare the loaded adapter with the record; `ok` says whether it may go on."""
    with using(model, adapter):
        now = answers(model, tokenizer, record, max_new_tokens)
    with using(model, ""):
        base = answers(model, tokenizer, record, max_new_tokens)
    same = [answer.tokens == case["tokens"] for answer, case in zip(now, record, strict=True)]
    differences = [
        max(map(_gap, answer.logprobs, case["logprobs"]), default=0.0)
        for answer, case in zip(now, record, strict=True)
    ]
    changed = [
        a.tokens != b.tokens or max(map(_gap, a.logprobs, b.logprobs), default=0.0) > TOLERANCE
        for a, b in zip(now, base, strict=True)
    ]
    degenerate = sum(map(_degenerate, now))
    ok = all(same) and max(differences, default=1.0) <= TOLERANCE and any(changed)
    return {
        "ok": ok and degenerate * 2 <= len(now),
        "cases": len(now),
        "same_answers": sum(same),
        "max_difference": max(differences, default=None),
        "differs_from_base": sum(changed),
        "degenerate": degenerate,
    }


def _asked(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation up to its last answer."""
    last = max(index for index, turn in enumerate(turns) if turn["role"] == "assistant")
    return list(turns[:last])


def _gap(left: float, right: float) -> float:
    return abs(left - right)


def _degenerate(answer: Answer) -> bool:
    """Nothing written, or one token over and over."""
    tail = answer.tokens[-_LOOP:]
    return not answer.text.strip() or (len(tail) == _LOOP and len(set(tail)) == 1)
