"""Preferences as TRL reads them: conversational, the prompt apart from the answers.

See `chat` for how turns and tools are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from processors.curation.formats.chat import Record, Turn, calls_of, tools, turns
from schemas.chat import first_answer
from schemas.datasets import Example, Pair


def preference(pair: Pair) -> Record:
    """{prompt, chosen, rejected, tools}, for DPO and reward models."""
    asked = calls_of(pair.messages)
    return {
        "prompt": turns(pair.messages),
        "chosen": turns(pair.chosen, asked),
        "rejected": turns(pair.rejected, asked),
        "tools": tools(pair.tools),
    }


def desirable(example: Example) -> Record:
    """{prompt, completion, label, tools}, for KTO: an example is an answer that is wanted."""
    border = first_answer(example.messages)
    asked, answered = example.messages[:border], example.messages[border:]
    return _labelled(asked, answered, example.tools, label=True)


def both_sides(pair: Pair) -> Iterator[Record]:
    """The same of a pair: the better answer is wanted, the worse one is not."""
    yield _labelled(pair.messages, pair.chosen, pair.tools, label=True)
    yield _labelled(pair.messages, pair.rejected, pair.tools, label=False)


def _labelled(
    asked: Iterable[Turn], answered: Iterable[Turn], defined: Iterable[Any], *, label: bool
) -> Record:
    asked = list(asked)
    return {
        "prompt": turns(asked),
        "completion": turns(answered, calls_of(asked)),
        "label": label,
        "tools": tools(defined),
    }
