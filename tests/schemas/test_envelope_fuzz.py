"""Mutated events: a row or a dead letter comes out, the one that the oracle says, and nothing else.

What is counted keeps the fuzzer from becoming harmless: most of what it makes is still nearly right.
A further 2,500 go through the real broker in tests/consumers/test_fuzz.py.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from schemas.envelope import Limits
from schemas.errors import Code
from schemas.records import Record
from schemas.rows import Disposition, Row
from tests.schemas.mutators import SHAPES, mutated
from tests.schemas.mutators import places as places_of
from tests.schemas.oracle import is_dead
from tests.support import binary, event, execution, record

LIMITS = Limits(max_bytes=30_000, max_messages=50, max_depth=20)
CURATOR = Curator("c", CurationPolicy(hmac_key=b"key", limits=LIMITS))
OWN, REAL = 8_000, 2_000


def agreed(found: Record) -> Row:
    """The row of a record, which is a dead letter where the oracle says so."""
    row = CURATOR.row(found)
    assert (row.disposition is Disposition.DEAD_LETTER) == is_dead(found, LIMITS), (row, found)
    if row.disposition is Disposition.DEAD_LETTER:
        assert (row.id, row.source, row.content) == (None, None, None)
    return row


def fuzz(seed: int, count: int, shapes: Sequence[dict[str, Any]]) -> list[Row]:
    """Judge so many records by code and oracle; their rows. Enough of them are nearly right."""
    dice = random.Random(seed)
    records = [mutated(dice, shapes) for _ in range(count)]
    rows = [agreed(found) for found in records]
    assert sum(map(_is_json, records)) >= 0.3 * count
    assert sum(row.disposition is Disposition.ACCEPTED for row in rows) >= 0.1 * count
    return rows


def _is_json(found: Record) -> bool:
    try:
        json.loads(found.value or b"")
    except ValueError:
        return False
    return True


def test_mutated_events_end_as_the_oracle_says() -> None:
    rows = fuzz(20_261_121, OWN, SHAPES)
    codes = Counter(row.error_code for row in rows if row.error_code)
    assert codes.keys() == {code.number for code in Code if code.number.startswith("E70")}


def test_mutated_real_traces_end_as_the_oracle_says(shared_data: Path) -> None:
    shapes = real_events(shared_data)
    rows = fuzz(7, REAL, shapes)
    assert len({row.error_code for row in rows}) > 10


def real_events(shared_data: Path) -> list[dict[str, Any]]:
    """Beginnings of real airline conversations, as executions."""
    path = shared_data / "tau-bench-airline-gpt4o" / "gpt-4o-airline.json.gz"
    with gzip.open(path) as file:
        runs = json.load(file)[:60]
    found = []
    for number, run in enumerate(runs):
        turns = [turn for turn in run["traj"] if turn["role"] != "system"][: 2 + number % 9]
        reward = {"status": "success" if run["reward"] else "failure", "score": run["reward"]}
        found.append(event("execution.completed", execution(messages=turns, outcome=reward)))
    return found


def test_what_was_not_mutated_is_read() -> None:
    for body in SHAPES:
        for found in (record(body), binary({k: v for k, v in body.items() if v is not None})):
            assert agreed(found).disposition is not Disposition.DEAD_LETTER


headers = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time", "x"])
        | st.text(max_size=9).map(lambda name: f"ce_{name}")
        | st.just("content-type"),
        st.none()
        | st.binary(max_size=30)
        | st.sampled_from([b"1.0", b"application/json", b"telemetry.sampled"]),
    ),
    max_size=6,
).map(tuple)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.binary(max_size=300), headers)
def test_any_bytes_end_as_the_oracle_says(value: bytes, given_headers: Any) -> None:
    agreed(record(value, headers=given_headers))


@given(st.sampled_from(SHAPES), st.integers(0, 10**6), anything)
def test_any_value_at_any_place_ends_as_the_oracle_says(
    shape: dict[str, Any], place: int, value: Any
) -> None:
    body = copy.deepcopy(shape)
    places = places_of(body)
    container, key = places[place % len(places)]
    container[key] = value
    for found in (record(body), binary(body)):
        agreed(found)
