"""Records made to hurt: they are decided in time and space that their size allows.

Each of these once took hours, gigabytes, or ended ingest with another exception than InvalidEvent.
The time limits are generous: what they exclude is quadratic.
"""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from typing import Any

import pytest

from schemas.envelope import Limits, decode
from schemas.errors import Code, InvalidEvent
from schemas.records import Record
from tests.support import event, execution, plan, record

MIB = 1024 * 1024


def around(inside: bytes, **changes: Any) -> Record:
    """An execution whose changed field holds `inside` in place of an @."""
    body = json.dumps(event("execution.completed", execution(**changes))).encode()
    return record(body.replace(b'"@"', inside))


def chain(length: int) -> dict[str, Any]:
    steps = [{"id": f"{n}", "depends_on": [f"{n + 1}"]} for n in range(length)]
    return event("planning.completed", plan(steps=steps))


HOSTILE = {
    "a string of quotes without end": record(b"[" * 65 + b'"' + b'\\"' * MIB),
    "strings without end": record(b"[" * 65 + b'"' * (3 * MIB + 1)),
    "backslashes": record(b"{" * 65 + b'"' + b"\\" * (3 * MIB + 1)),
    "brackets": record(b"[" * (3 * MIB)),
    "brackets and braces": record(b"[{" * MIB + b"}]" * MIB),
    "brackets that never meet": record(b"]" * MIB + b"[" * MIB),
    "a long string": around(b'"' + b"a[{" * MIB + b'"', note="@"),
    "a plan of one long chain": record(chain(50_000)),
    "a million wrong messages": around(b"[" + b"1," * MIB + b"1]", messages="@"),
    "a million wrong tools": around(b"[" + b"1," * MIB + b"1]", tools="@"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_decided_soon(name: str) -> None:
    hostile = HOSTILE[name]
    assert len(hostile.value or b"") <= Limits().max_bytes
    started = time.perf_counter()
    with contextlib.suppress(InvalidEvent):
        decode(hostile)
    assert time.perf_counter() - started < 5


def test_wrong_items_do_not_fill_the_memory() -> None:
    hostile = around(b"[" + b"1," * (MIB // 2) + b"1]", messages="@")
    tracemalloc.start()
    try:
        with pytest.raises(InvalidEvent):
            decode(hostile)
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()


def test_a_very_long_ring_is_a_cycle() -> None:
    body = chain(20_000)
    body["data"]["steps"][-1]["depends_on"] = ["0"]
    with pytest.raises(InvalidEvent) as caught:
        decode(record(body))
    assert caught.value.code is Code.PLAN_CYCLE
    assert len(caught.value.detail) <= 500


@pytest.mark.parametrize(
    "arguments",
    ["[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, '{"a":NaN}', '{"a":"\\ud800"}', "", "{"],
    ids=["deep list", "deep object", "NaN", "lone surrogate", "nothing", "half"],
)
def test_arguments_that_are_no_json_stay_the_text_they_were(arguments: str) -> None:
    calls = [{"function": {"name": "search", "arguments": arguments}}]
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": calls}]
    found: Any = decode(record(event("execution.completed", execution(messages=turns))))
    assert found.data.messages[1].tool_calls[0].arguments == arguments
