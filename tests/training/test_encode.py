"""What the loss is on: answers only, by weight, in exactly the text that serving shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.chat import answer_text

pytestmark = pytest.mark.torch
CALL = {"name": "f", "arguments": {"a": "x", "n": 2}}
TRACE: list[dict[str, Any]] = [
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "", "tool_calls": [CALL, CALL]},
    {"role": "tool", "content": "ok"},
    {"role": "assistant", "content": "done"},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def test_every_answer_of_a_trace_becomes_one_sequence(tokenizer: Any) -> None:
    from training.encode import encode

    encoded = encode(tokenizer, [{"messages": TRACE, "weight": 2.0}], 256)
    answers = [tokenizer.decode(s.answer, skip_special_tokens=True) for s in encoded.sequences]
    assert answers == [answer_text(TRACE[1]), "done"]
    prompts = [tokenizer.decode(s.prompt) for s in encoded.sequences]
    assert prompts[0] == "<|user|>one<|assistant|>"
    assert prompts[1].startswith("<|user|>one<|assistant|>{")
    assert prompts[1].endswith("<|tool|>ok<|assistant|>")
    assert {s.weight for s in encoded.sequences} == {2.0}
    assert all(s.answer[-1] == tokenizer.eos_token_id for s in encoded.sequences)


def test_what_is_too_long_loses_its_oldest_prompt_tokens_or_is_dropped(tokenizer: Any) -> None:
    from training.encode import encode

    whole = encode(tokenizer, [{"messages": TRACE}], 256).sequences[0]
    cut = encode(tokenizer, [{"messages": TRACE}], len(whole) - 1)
    assert cut.sequences[0].prompt == whole.prompt[1:]
    assert cut.sequences[0].answer == whole.answer
    assert cut.shortened == 2
    nothing = encode(tokenizer, [{"messages": TRACE[:2]}], len(whole.answer))
    assert (len(nothing.sequences), nothing.dropped) == (0, 1)


def test_only_answers_carry_loss_and_by_their_weight(tokenizer: Any) -> None:
    import torch

    from training.encode import Sample, collate

    rows = [Sample([5, 6, 7], [8, 9], 2.0), Sample([5], [8], 0.5)]
    batch = collate(rows, 0, 0.0, torch.device("cpu"))
    assert batch.ids.tolist() == [[5, 6, 7, 8, 9], [0, 0, 0, 5, 8]]
    assert batch.mask.tolist() == [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 0, 1]]
    assert batch.weights.tolist() == [[0, 0, 0, 2, 2], [0, 0, 0, 0, 0.5]]
    assert batch.tail == 2
    with_prompt = collate(rows, 0, 0.1, torch.device("cpu"))
    assert [round(w, 3) for w in with_prompt.weights.tolist()[0]] == [0, 0.2, 0.2, 2, 2]


def test_the_loss_is_that_of_a_plain_slow_reference(tiny_base: Path, tokenizer: Any) -> None:
    """Left padding, cut logits and weights change nothing against one sequence at a time."""
    import torch

    from training.encode import collate, encode
    from training.loop import token_loss
    from training.model import load_base

    model, _ = load_base(str(tiny_base), "")
    examples = [{"messages": TRACE[: 2 + 2 * (i % 2)], "weight": 1.0 + i} for i in range(3)]
    samples = encode(tokenizer, examples, 256).sequences
    with torch.no_grad():
        batched = token_loss(model, collate(samples, 0, 0.0, torch.device("cpu")))
        total, weight = 0.0, 0.0
        for sample in samples:
            ids = torch.tensor([sample.prompt + sample.answer])
            scores = model(input_ids=ids).logits[0].log_softmax(-1)
            for place in range(len(sample.prompt), len(sample)):
                total -= sample.weight * float(scores[place - 1, ids[0, place]])
                weight += sample.weight
    assert float(batched) == pytest.approx(total / weight, rel=1e-5)


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any) -> None:
    from schemas.errors import Code, Unrecoverable
    from training.encode import encode

    template = tokenizer.chat_template
    tokenizer.chat_template = "{{ messages | length }}{% if add_generation_prompt %}>{% endif %}"
    try:
        with pytest.raises(Unrecoverable) as caught:
            encode(tokenizer, [{"messages": TRACE}], 256)
    finally:
        tokenizer.chat_template = template
    assert caught.value.code is Code.BAD_JOB
