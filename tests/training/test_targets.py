"""Which turns are learned, and how long prompts are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.chat import answer_text

pytestmark = pytest.mark.torch
CALL = {"name": "f", "arguments": {"a": "x"}}
TRACE: list[dict[str, Any]] = [
    {"role": "assistant", "content": "hello, how may i help?"},
    {"role": "user", "content": "one two three four five six seven eight nine ten"},
    {"role": "assistant", "content": "which one?"},
    {"role": "user", "content": "the third"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "ok"},
    {"role": "assistant", "content": "done, and here is a much longer text about what was done"},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_base)


def answers(tokenizer: Any, targets: Any) -> list[str]:
    from training.encode import encode

    encoded = encode(tokenizer, [{"messages": TRACE}], 512, targets=targets)
    return [tokenizer.decode(s.answer, skip_special_tokens=True) for s in encoded.sequences]


def test_all_answers_are_learned_but_not_a_greeting(tokenizer: Any) -> None:
    written = [answer_text(TRACE[index]) for index in (2, 4, 6)]
    assert answers(tokenizer, "all") == written


def test_only_tool_calls_are_learned_if_so_said(tokenizer: Any) -> None:
    assert answers(tokenizer, "tool_calls") == [answer_text(TRACE[4])]


def test_the_length_of_a_cut_prompt_does_not_tell_the_length_of_the_answer(
    tokenizer: Any,
) -> None:
    from training.encode import encode

    whole = encode(tokenizer, [{"messages": TRACE}], 512).sequences
    longest = max(len(sample.answer) for sample in whole)
    limit = longest + min(len(sample.prompt) for sample in whole) - 2
    leaking = encode(tokenizer, [{"messages": TRACE}], limit).sequences
    assert {len(sample) for sample in leaking[1:]} == {limit}
    fair = encode(tokenizer, [{"messages": TRACE}], limit, reserve=longest)
    assert len({len(sample.answer) for sample in fair.sequences}) > 1
    assert {len(sample.prompt) for sample in fair.sequences} == {limit - longest}
    assert fair.shortened == 3


def test_an_answer_longer_than_what_is_reserved_is_still_learned(tokenizer: Any) -> None:
    from training.encode import encode

    encoded = encode(tokenizer, [{"messages": TRACE}], 40, reserve=4)
    assert (len(encoded.sequences), encoded.dropped) == (3, 0)
    assert all(len(sample) <= 40 for sample in encoded.sequences)
