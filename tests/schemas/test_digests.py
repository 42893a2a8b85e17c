"""Digests: equal content gives equal digests, other content does not."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.digests import (
    canonical_json,
    digest_of,
    folder_digests,
    manifest_digest,
    transition_id,
)

words = st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, width=32) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
).filter(lambda value: "Infinity" not in json.dumps(value))


def turned(value: Any) -> Any:
    """The same value with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@given(values)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert digest_of(turned(value)) == digest_of(value)


@given(values, values)
def test_other_values_have_other_digests(left: Any, right: Any) -> None:
    assume(json.dumps(left, sort_keys=True) != json.dumps(right, sort_keys=True))
    assert digest_of(left) != digest_of(right)
    assert digest_of({"a": left}) != digest_of({"a": right})


@given(values)
def test_canonical_json_is_json_of_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


def test_canonical_json_is_this() -> None:
    text = '{"a":[1,2.5,null,true],"b":"é\\n"}'
    assert canonical_json({"b": "é\n", "a": [1, 2.5, None, True]}) == text.encode()
    assert (
        digest_of({"b": "é\n", "a": [1, 2.5, None, True]})
        == hashlib.sha256(text.encode()).hexdigest()
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_what_json_cannot_say_has_no_digest(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"a": [number]})


def test_a_folder_s_manifest_names_every_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_bytes(b"b")
    (tmp_path / "a.txt").write_bytes(b"a")
    before = folder_digests(tmp_path)
    assert before == {
        "a.txt": hashlib.sha256(b"a").hexdigest(),
        "sub/b.txt": hashlib.sha256(b"b").hexdigest(),
    }
    (tmp_path / "sub" / "b.txt").rename(tmp_path / "sub" / "c.txt")
    assert manifest_digest(folder_digests(tmp_path)) != manifest_digest(before)


def test_a_transition_s_id_is_the_same_each_time_and_of_its_own() -> None:
    parts = ("tenant", "model", "decision", "promoted")
    known = transition_id(*parts)
    assert known == transition_id(*parts) == "3071d2fe-33b8-5e36-bd99-923e68804b56"
    assert uuid.UUID(known).version == 5
    tenant, model, decision, transition = parts
    others = {
        transition_id("x", model, decision, transition),
        transition_id(tenant, "x", decision, transition),
        transition_id(tenant, model, "x", transition),
        transition_id(tenant, model, decision, "x"),
    }
    assert len(others | {known}) == 5
