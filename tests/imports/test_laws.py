"""What every format promises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.import_traces import FORMATS
from processors.imports.port import Imported, Refused
from schemas.errors import Code, Unrecoverable
from schemas.events import DATA_ADAPTERS
from schemas.executions import ExecutionData
from tests.imports import samples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
WHOLE = {
    "openai-chat": samples.chat,
    "tau-bench": samples.trajectory,
    "tau2": samples.simulation,
}
LINES: dict[str, Any] = {
    "openai-chat": samples.chat_lines,
    "tau-bench": samples.tau_bench_lines,
    "tau2": samples.tau2_lines,
}
each_format = pytest.mark.parametrize("name", sorted(FORMATS))


def read(name: str) -> list[Imported]:
    found = list(FORMATS[name](*samples.FILES[name]()))
    assert len(found) == 2
    return [item for item in found if isinstance(item, Imported)]


@each_format
def test_data_fit_their_event_type(name: str) -> None:
    for item in read(name):
        data = DATA_ADAPTERS[item.kind].validate_json(json.dumps(item.data))
        assert isinstance(data, ExecutionData)
        assert data.messages
        assert data.task.prompt == next(m.text() for m in data.messages if m.role == "user")
        assert item.time is None or item.time.tzinfo is not None


@each_format
def test_importing_twice_gives_the_same_ids(name: str) -> None:
    first, second = read(name), read(name)
    assert first == second
    assert len({item.id for item in first}) == 2
    assert {item.source for item in first} == {
        f"urn:lorikeet:import:{name}:{samples.FILES[name]()[0].split('.')[0]}"
    }


@each_format
def test_ids_differ_between_files(name: str) -> None:
    _, lines = samples.FILES[name]()
    other = [item for item in FORMATS[name]("another.json", lines) if isinstance(item, Imported)]
    assert {i.id for i in other}.isdisjoint(i.id for i in read(name))


@each_format
def test_reference_answers_stay_out_of_the_event(name: str) -> None:
    _, lines = samples.FILES[name]()
    assert samples.REFERENCE in b"".join(lines).decode()
    for item in read(name):
        assert samples.REFERENCE not in json.dumps(item.data)


@each_format
def test_nothing_is_made_up_where_the_source_is_silent(name: str) -> None:
    for item in read(name):
        assert None not in item.data.values()
        assert not {"trust", "confidence", "session_id", "origin", "tools"} & set(item.data)
        assert "cost_usd" not in item.data.get("metrics", {})


@each_format
@given(field=st.integers(0, 30), value=JSON)
@settings(max_examples=150, deadline=None)
def test_a_spoiled_record_is_refused_and_the_next_one_is_read(
    name: str, field: int, value: Any
) -> None:
    record = WHOLE[name]()
    spoiled = {**record, sorted(record)[field % len(record)]: value}
    first, second = FORMATS[name]("f.json", LINES[name](spoiled, record))
    assert isinstance(second, Imported)
    if isinstance(first, Imported):
        ExecutionData.model_validate(first.data)
    else:
        assert first.reason
        assert "\n" not in first.reason
        assert first.where.endswith(" 1")


@each_format
@given(value=JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_is_refused_or_a_file_of_another_format(name: str, value: Any) -> None:
    try:
        found = list(FORMATS[name]("f.json", [json.dumps(value).encode()]))
    except Unrecoverable as refused:
        found = []
        code = refused.code
    else:
        code = Code.BAD_IMPORT
    assert code is Code.BAD_IMPORT
    assert all(isinstance(item, Refused) for item in found)
