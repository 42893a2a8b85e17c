"""Mutated real-shaped events: an event or an InvalidEvent comes out, and nothing else.

The oracle below is written from the specification with `json.loads`, without the code under test. It
also counts, so that the fuzzer cannot become harmless: most of what it makes is still nearly right.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Limits, decode
from schemas.errors import Code, InvalidEvent
from schemas.records import Record
from tests.schemas.mutators import SHAPES, mutated
from tests.schemas.mutators import places as places_of
from tests.support import binary, record

LIMITS = Limits(max_bytes=30_000, max_messages=50, max_depth=20)
NEEDED = {
    "execution.completed": ("execution_id", "agent_id", "task", "outcome"),
    "planning.completed": ("plan_id", "agent_id", "goal"),
    "feedback.received": ("kind", "author", "author_role"),
    "telemetry.sampled": ("sampled_at",),
    "gateway.adapter": ("gateway_id", "model", "adapter", "state"),
}


def _no_constant(name: str) -> None:
    raise ValueError(name)


def parsed(value: bytes | None) -> Any:
    """The JSON of a value, or the ValueError that it is none."""
    try:
        return json.loads(value or b"", parse_constant=_no_constant)
    except ValueError as error:
        return error


def oracle(found: Record) -> bool | None:
    """Whether a record must be read; None where the specification alone does not say."""
    body = parsed(found.value)
    if isinstance(body, Exception):
        return False
    stated = body
    if any(name.startswith("ce_") for name, _ in found.headers):
        try:
            stated = {n[3:]: (v or b"").decode() for n, v in found.headers if n.startswith("ce_")}
        except UnicodeDecodeError:
            return False
    elif isinstance(body, dict):
        body = body.get("data")
    if not isinstance(stated, dict):
        return False
    named = [stated.get(name) for name in ("id", "source", "type")]
    if not all(isinstance(text, str) and text for text in named):
        return False
    if stated.get("specversion") != "1.0" or stated.get("dataref") is not None:
        return False
    needed = NEEDED.get(str(stated["type"]))
    sound = isinstance(body, dict) and all(
        body.get(name) not in (None, "") for name in needed or ()
    )
    return None if needed is None or sound else False


def outcome(found: Record) -> Code | None:
    try:
        decode(found, LIMITS)
    except InvalidEvent as refused:
        return refused.code
    return None


def test_a_mutated_record_is_an_event_or_an_invalid_event() -> None:
    dice = random.Random(20_260_301)
    records = [mutated(dice) for _ in range(6_000)]
    codes = Counter(outcome(found) for found in records)
    wrong = [found for found in records if oracle(found) is False and outcome(found) is None]
    assert wrong == []
    as_json = sum(not isinstance(parsed(found.value), Exception) for found in records)
    assert as_json >= 0.3 * len(records)
    assert codes[None] >= 0.1 * len(records)
    assert {code for code in codes if code} == {c for c in Code if c.number.startswith("E70")}


def test_what_was_not_mutated_is_read() -> None:
    for body in SHAPES:
        assert outcome(record(body)) is None
        assert outcome(binary({k: v for k, v in body.items() if v is not None})) is None


headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time", "x"])
        | st.text(max_size=9).map(lambda name: f"ce_{name}")
        | st.just("content-type"),
        st.none() | st.binary(max_size=30) | st.sampled_from([b"1.0", b"application/json"]),
    ),
    max_size=6,
).map(tuple)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.binary(max_size=300), headers)
def test_any_bytes_are_an_event_or_an_invalid_event(value: bytes, given_headers: Any) -> None:
    outcome(record(value, headers=given_headers))


@given(st.sampled_from(SHAPES), st.integers(0, 10**6), anything)
def test_any_value_at_any_place_is_an_event_or_an_invalid_event(
    shape: dict[str, Any], place: int, value: Any
) -> None:
    body = copy.deepcopy(shape)
    places = places_of(body)
    container, key = places[place % len(places)]
    container[key] = value
    for found in (record(body), binary(body)):
        if outcome(found) is None:
            assert oracle(found) is not False
