"""Redaction over one trace: the same value keeps its placeholder, structure stays, time is linear."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.redact import Redactor

REDACTOR = Redactor()
MAIL, CARD = "ann@x.org", "4111111111111111"


def test_the_same_value_has_the_same_placeholder_within_a_trace() -> None:
    trace = REDACTOR.trace()
    assert trace.text(f"{MAIL} and bob@x.org and {MAIL}") == "<EMAIL_1> and <EMAIL_2> and <EMAIL_1>"
    assert trace.text(f"{CARD}, {MAIL}") == "<CARD_1>, <EMAIL_1>"
    assert dict(trace.counts) == {"EMAIL": 4, "CARD": 1}


def test_a_new_trace_begins_anew() -> None:
    REDACTOR.trace().text("bob@x.org")
    trace = REDACTOR.trace()
    assert trace.text(MAIL) == "<EMAIL_1>"
    assert dict(trace.counts) == {"EMAIL": 1}


def test_json_is_redacted_in_depth_and_keeps_its_keys_and_its_shape() -> None:
    value = {MAIL: [MAIL, {"a": (f"to {MAIL}", 3, None, True, 1.5)}], "n": CARD}
    before = copy.deepcopy(value)
    assert REDACTOR.trace().value(value) == {
        MAIL: ["<EMAIL_1>", {"a": ["to <EMAIL_1>", 3, None, True, 1.5]}],
        "n": "<CARD_1>",
    }
    assert value == before


def test_own_identifiers_come_first_and_have_their_own_names() -> None:
    redactor = Redactor({"ORDER": r"\bAC-[0-9]{4}\b", "STAFF": r"[a-z]+@x\.org"})
    trace = redactor.trace()
    assert trace.text(f"AC-1234 by {MAIL}, AC-12345, bob@y.org") == (
        "<ORDER_1> by <STAFF_1>, AC-12345, <EMAIL_1>"
    )
    assert dict(trace.counts) == {"ORDER": 1, "STAFF": 1, "EMAIL": 1}


def test_an_own_identifier_may_be_called_like_a_built_in_one() -> None:
    trace = Redactor({"SSN": r"\b[0-9]{9}\b", "IBAN": r"Konto [a-z]+"}).trace()
    assert trace.text("123456789, Konto abc, 987-65-4321") == "<SSN_1>, <IBAN_1>, 987-65-4321"


@pytest.mark.parametrize("pattern", ["(", r"(?=a)", r"(a)\1"])
def test_what_is_no_linear_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not an RE2 pattern"):
        Redactor({"X": pattern})


def test_a_pattern_that_matches_nothing_puts_nothing_in() -> None:
    assert Redactor({"X": "z*"}).trace().text("azb") == "a<X_1>b"


def test_nul_becomes_the_replacement_character() -> None:
    assert REDACTOR.trace().text("a\0b\0") == "a\ufffdb\ufffd"


@given(st.text() | st.text("0123456789-. @+<>A", max_size=60))
def test_any_text_goes_through_and_findings_are_not_found_again(text: str) -> None:
    trace = REDACTOR.trace()
    once = trace.text(text)
    assert "\0" not in once
    assert bool(trace.counts) is (once != text.replace("\0", "\ufffd"))
    for name in [f"<{kind}_{len(values)}>" for kind, values in trace.found.items()]:
        assert name in once


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(MAIL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(values)
def test_redaction_is_pure_and_no_mail_is_left(value: Any) -> None:
    before = json.dumps(value)
    first, second = REDACTOR.trace().value(value), REDACTOR.trace().value(value)
    assert first == second
    assert json.dumps(value) == before
    assert MAIL not in json.dumps(list(_strings(first)))


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _strings(item)]


HOSTILE = {
    "digits": "1",
    "digits and spaces": "1 ",
    "at signs": "a@",
    "dots": "a.",
    "octets": "1.1.",
    "capitals": "AA11 ",
    "plus signs": "+1(",
    "a mail that never ends": "a@a.",
    "key beginnings": "sk-eyJ",
    "nul": "\0",
    "brackets": "(123) ",
    "wide": "é😀1",
}


def seconds(text: str) -> float:
    started = time.perf_counter()
    REDACTOR.trace().text(text)
    return time.perf_counter() - started


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    unit, size = HOSTILE[name], 40_000
    text = unit * (size // len(unit))
    once = min(seconds(text) for _ in range(2))
    fourfold = min(seconds(text * 4) for _ in range(2))
    assert fourfold < 10 * once + 0.2
    assert fourfold < 10
