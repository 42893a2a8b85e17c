"""The fast reading of executions gives the row that the contract's own reading gives, or none.

The pydantic types are the contract; `schemas.structs` repeats them for msgspec. That nothing is
forgotten is compared field by field, that nothing is read otherwise over thousands of records.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.import_traces import ImportTraces, look
from processors.curation.curate import Curator
from processors.curation.policy import CurationPolicy
from processors.imports.stated import Stated
from producers.memory import MemoryProducer
from schemas import structs
from schemas.chat import Message, ToolCall
from schemas.envelope import Limits
from schemas.events import Attributes
from schemas.executions import ExecutionData
from schemas.fastpath import read_fast
from schemas.records import Record
from schemas.rows import Disposition
from tests.imports import real_traces
from tests.schemas.generated import execution_record
from tests.schemas.mutators import SHAPES, mutated, places
from tests.schemas.test_envelope_fuzz import anything
from tests.support import TOOLS, binary, event, execution, record

DECIDED = set(Disposition) - {Disposition.DUPLICATE}
LIMITS = Limits(max_bytes=30_000, max_messages=50, max_depth=20)
POLICY = CurationPolicy(
    hmac_key=b"key", limits=LIMITS, min_quality=5, review_quality=2, min_confidence=0.01
)
CURATOR = Curator("c", POLICY)


def by_contract(found: Record, curator: Curator = CURATOR) -> Any:
    """The row as the pydantic types alone give it."""
    with patch("processors.curation.curate.read_fast", return_value=None):
        return curator.row(found)


def differing(records: Iterable[Record], curator: Curator = CURATOR) -> list[Record]:
    return [r for r in records if repr(curator.row(r)) != repr(by_contract(r, curator))]


def fast_share(records: list[Record], limits: Limits = LIMITS) -> float:
    return sum(read_fast(found, limits) is not None for found in records) / len(records)


def test_generated_executions_give_the_same_rows() -> None:
    dice = random.Random(20_261_121)
    records = [execution_record(dice) for _ in range(6_000)]
    assert differing(records) == []
    kinds = Counter(CURATOR.row(found).disposition for found in records)
    assert 0.4 < fast_share(records) < 0.9
    assert all(kinds[kind] > 50 for kind in DECIDED)


def test_mutated_records_of_all_types_give_the_same_rows() -> None:
    dice = random.Random(20_261_122)
    records = [mutated(dice) for _ in range(3_000)]
    assert differing(records) == []
    assert fast_share(records) > 0.06


@given(st.sampled_from(SHAPES[:3]), st.integers(0, 10**6), anything)
def test_any_value_at_any_place_gives_the_same_row(
    shape: dict[str, Any], place: int, value: Any
) -> None:
    body = copy.deepcopy(shape)
    found = places(body)
    container, key = found[place % len(found)]
    container[key] = value
    assert differing([record(body), binary(body)]) == []


@pytest.mark.data
@pytest.mark.parametrize("name", ["tau-bench", "tau2"])
def test_real_traces_are_read_fast_and_give_the_same_rows(name: str, shared_data: Path) -> None:
    files = {
        "tau-bench": real_traces.tau_bench(shared_data),
        "tau2": real_traces.tau2(shared_data, "base")[:1],
    }[name]
    producer = MemoryProducer()
    looked = look(name, files, Stated(model="m", derive_tools=True))
    asyncio.run(ImportTraces(producer, "", Limits())(looked))
    records = [
        Record("t", 0, offset, 1_800_000_000_000, raw.key, raw.value, tuple(raw.headers))
        for offset, raw in enumerate(producer.records)
    ]
    plain = Curator("c", CurationPolicy(hmac_key=b"key"))
    own = Curator("c", CurationPolicy(hmac_key=b"key", identifiers=real_traces.IDENTIFIERS))
    assert differing(records, plain) == []
    assert differing(records[:40], own) == []
    assert fast_share(records, Limits()) == 1


@pytest.mark.parametrize(
    "data",
    [
        execution(),
        execution(tools=None, tools_digest="d"),
        execution(unknown={"any": ["thing", 1e-7]}),
        execution(task={"prompt": "x", "reference": {"a": [1e-7, 1e22, 2**70, None]}}),
        execution(messages=[{"role": "user", "content": [{"type": "text", "text": "é"}]}]),
        execution(messages=[], outcome={"status": "partial", "answer": "42"}),
    ],
    ids=["plain", "digest", "unknown", "numbers", "parts", "answer"],
)
def test_what_is_plain_is_read_fast(data: dict[str, Any]) -> None:
    body = event("execution.completed", data)
    assert fast_share([record(body), binary(body)]) == 1
    assert differing([record(body), binary(body)]) == []


TWINS = {
    name: getattr(structs, name)
    for name in ("Message", "Task", "Gate", "Outcome", "ModelRef", "Metrics", "PolicyRef")
}
OTHERWISE = {("ExecutionData", "tools"), ("ExecutionData", "artifacts")}
"""Read raw and known by their bytes; left to pydantic, which dumps their unknown fields."""
CONTRACT = ExecutionData.model_json_schema()
TWIN = msgspec.json.schema_components([structs.ExecutionData], ref_template="#/$defs/{name}")[1]


def normal(schema: Any) -> Any:
    """A field's schema without its words and its default; the order of alternatives is no matter."""
    if isinstance(schema, list):
        return sorted((normal(one) for one in schema), key=repr)
    if not isinstance(schema, dict):
        return schema
    left_out = {"title", "description", "default", "format"}
    if schema.get("additionalProperties") in (True, {}):
        left_out.add("additionalProperties")
    if "enum" in schema:
        left_out.add("type")
    kept = {name: normal(schema[name]) for name in sorted(schema.keys() - left_out)}
    if kept.get("items") == {}:
        del kept["items"]
    return kept


@pytest.mark.parametrize("name", [*TWINS, "ExecutionData"])
def test_each_field_of_the_contract_has_its_twin(name: str) -> None:
    contract = CONTRACT if name == "ExecutionData" else CONTRACT["$defs"][name]
    twin = TWIN[name]
    assert twin["properties"].keys() == contract["properties"].keys()
    assert set(twin.get("required", ())) == set(contract.get("required", ()))
    fields = [field for field in contract["properties"] if (name, field) not in OTHERWISE]
    wrong = [
        (field, twin["properties"][field], contract["properties"][field])
        for field in fields
        if normal(twin["properties"][field]) != normal(contract["properties"][field])
    ]
    assert wrong == []


def test_calls_and_attributes_have_their_twins() -> None:
    assert set(structs.ToolCall.__struct_fields__) == {*ToolCall.model_fields, "function"}
    beside = {"data", "dataref", "data_base64"}
    assert set(structs.Event.__struct_fields__) == {*Attributes.model_fields, *beside}
    assert set(Message.model_fields) == set(structs.Message.__struct_fields__)


def test_definitions_of_tools_are_digested_once_and_checked() -> None:
    body = event("execution.completed", execution(tools=TOOLS))
    first, second = (read_fast(record(body), LIMITS) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.data.tools is second.data.tools
    assert first.data.tools == TOOLS
    refused: list[Any] = [{}, "tools", [1], [[]]]
    for wrong in refused:
        assert (
            read_fast(record(event("execution.completed", execution(tools=wrong))), LIMITS) is None
        )
