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
from processors.curation.residue import SecondPass
from schemas.digests import compact_json

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


def test_json_that_a_string_holds_is_redacted_and_still_parses() -> None:
    held = {"to": [MAIL], "note": f"a\n{MAIL}\n{CARD}", "deeper": json.dumps({"cc": f"\n{MAIL}"})}
    redacted = json.loads(REDACTOR.trace().text(json.dumps(held)))
    assert redacted == {
        "to": ["<EMAIL_1>"],
        "note": "a\n<EMAIL_1>\n<CARD_1>",
        "deeper": '{"cc": "\\n<EMAIL_1>"}',
    }


@pytest.mark.parametrize(
    "text", [r"ann\u0040x.org", r"a\u002Bb@x.org", r"a\u002bb\u0040x.org", "ann%40x.org"]
)
def test_a_mail_whose_characters_are_escaped_is_found(text: str) -> None:
    assert REDACTOR.trace().text(f'{{"to": "{text}"}}') == '{"to": "<EMAIL_1>"}'
    value = {"content": f'{{"to": "{text}"}}'}
    trace = REDACTOR.trace_of(compact_json(value))
    assert trace is not None
    assert trace.value(value) == {"content": '{"to": "<EMAIL_1>"}'}


def test_escapes_in_text_without_findings_stay_as_they_are() -> None:
    text = r"caf\u00e9 \u0040 home, 1\u002B1"
    assert REDACTOR.trace().text(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"ssn": "078051120"}, {"ssn": "<SSN_1>"}),
        ({"ssn": 378051120}, {"ssn": "<SSN_1>"}),
        ({"other": "378051120"}, {"other": "378051120"}),
        ({"phone_number": "030 1234567"}, {"phone_number": "<PHONE_1>"}),
        ({"phone": 4155552671}, {"phone": "<PHONE_1>"}),
        ({"order": 4155552671}, {"order": 4155552671}),
        ({"card": 4111111111111111}, {"card": "<CARD_1>"}),
        ([4111111111111111, 4111111111111112], ["<CARD_1>", 4111111111111112]),
        ({"card": "630427373398"}, {"card": "<CARD_1>"}),
        ({"id": "630427373398"}, {"id": "630427373398"}),
        ({"api_key": "9f8a7c6b5d4e3f2a1b0c"}, {"api_key": "<KEY_1>"}),
        ({"etag": "9f8a7c6b5d4e3f2a1b0c"}, {"etag": "9f8a7c6b5d4e3f2a1b0c"}),
        (
            {"headers": {"Authorization": "Basic YW5uOnNlY3JldHBhc3M="}},
            {"headers": {"Authorization": "Basic <KEY_1>"}},
        ),
        (
            {"headers": {"authorization": "token 9f8a7c6b5d4e3f2a1b0c"}},
            {"headers": {"authorization": "token <KEY_1>"}},
        ),
        ({"ssn": ["378051120", "378051121"]}, {"ssn": ["<SSN_1>", "<SSN_2>"]}),
        (
            {"ssns": {"ann": "378051120", "a b": 378051121}},
            {"ssns": {"ann": "<SSN_1>", "a b": "<SSN_2>"}},
        ),
        ({"phones": ["4155552671", 4155552672]}, {"phones": ["<PHONE_1>", "<PHONE_2>"]}),
        ({"phone": [{"n": [4155552671]}]}, {"phone": [{"n": ["<PHONE_1>"]}]}),
        ({"phone": {"a": "x", "order": "4155552671"}}, {"phone": {"a": "x", "order": "<PHONE_1>"}}),
        ({"x_api_key": ["9f8a7c6b5d4e3f2a1b0c"]}, {"x_api_key": ["<KEY_1>"]}),
        (
            {"card": {"expires": "12/27", "number": "630427373398"}},
            {"card": {"expires": "12/27", "number": "<CARD_1>"}},
        ),
        ({"card": {"phone": "4155552671"}}, {"card": {"phone": "<PHONE_1>"}}),
        ({"orders": ["4155552671"]}, {"orders": ["4155552671"]}),
        (
            {"m": "my card is", "n": [None, True, -1.5, 4111111111111111]},
            {"m": "my card is", "n": [None, True, -1.5, "<CARD_1>"]},
        ),
        ({"n": 4111111111111111.5, "m": 0.4111111111111111}, None),
        ({"n": True, "m": None, "k": -3, "l": 1e300}, None),
    ],
)
def test_keys_tell_what_their_values_are_and_numbers_are_looked_at(
    value: Any, expected: Any
) -> None:
    trace = REDACTOR.trace_of(compact_json(value))
    redacted = value if trace is None else trace.value(value)
    if expected is None:
        expected = {**value, "n": "<CARD_1>.5"} if isinstance(value["n"], float) else value
    assert redacted == expected


def test_the_same_value_however_written_is_one() -> None:
    trace = REDACTOR.trace()
    trace.text("Ann@X.org ann@x.org ann%40x.org 4111 1111 1111 1111, 4111-1111-1111-1111")
    trace.text("(415) 555-2671, +1 415 555 2671; 2001:DB8:0::1 2001:db8::1; DE89370400440532013000")
    trace.text("DE89 3704 0044 0532 0130 00")
    assert {kind: [*values.items()] for kind, values in trace.found.items()} == {
        "EMAIL": [("ann@x.org", 3)],
        "CARD": [("4111111111111111", 2)],
        "PHONE": [("+14155552671", 2)],
        "IP": [("2001:db8::1", 2)],
        "IBAN": [("DE89370400440532013000", 2)],
    }


def test_what_lies_between_a_name_and_its_digits_is_looked_at_too() -> None:
    value = ["card", MAIL, "cc", "no digits here", "x@y.org", CARD]
    trace = REDACTOR.trace_of(compact_json(value))
    assert trace is not None
    assert trace.value(value) == [
        "card",
        "<EMAIL_1>",
        "cc",
        "no digits here",
        "<EMAIL_2>",
        "<CARD_1>",
    ]


HOSTILE = {
    "digits": "1",
    "digits and spaces": "4 ",
    "at signs": "a@",
    "dots": "a.",
    "octets": "1.1.",
    "capitals": "AA11 ",
    "accounts": "DE89 3704 ",
    "plus signs": "+1(",
    "a mail that never ends": "a@a.",
    "mails": "a@b.cc ",
    "key beginnings": "sk-eyJ",
    "keys in a token that never ends": "eyJhf_" + "a1" * 16 + "-",
    "names of keys": "api_key=bearer ",
    "private keys": "-----BEGIN PRIVATE KEY-----",
    "addresses": "://a:b@",
    "nul": "\0",
    "brackets": "(123) ",
    "wide": "é😀1",
    "cards that are none": "4111 1111 1111 1112 ",
    "words before cards": "card 1 ssn ",
    "phones": "030 123 4567 ",
    "hexadecimal groups": "ab:",
    "escapes": "\\u0040",
    "quotes": '"\\',
    "backslashes": "\\" * 10,
    "escaped letters": r"\\\\u00fc@b.cc ",
    "narrow spaces": "4111\u202f1111\u00a0",
    "nothing to be seen": "a\u200b@b.cc",
    "mails in other scripts": "ж@例.рф ",
    "columns": "4111\t",
    "numbers abroad": "+1 415 555 2671 12 ",
    "lists": '{"phones":["1"],"card":{"a":',
}
EVERYWHERE = Redactor(regions=("US", "GB", "DE", "FR", "IT"))
SECOND = SecondPass()


def seconds(text: str) -> float:
    """Of this process: whatever else the machine does."""
    started = time.process_time()
    trace = EVERYWHERE.trace_of(compact_json([text]))
    if trace is not None:
        SECOND.left(compact_json(trace.value([text])))
    return time.process_time() - started


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_takes_linear_time(name: str) -> None:
    unit, size = HOSTILE[name], 40_000
    text = unit * (size // len(unit))
    once = min(seconds(text) for _ in range(2))
    fourfold = min(seconds(text * 4) for _ in range(2))
    assert fourfold < 10 * once + 0.2
    assert fourfold < 10


def test_a_text_of_nothing_but_different_findings_takes_linear_time() -> None:
    once, fourfold = (" ".join(f"u{n}@x.org" for n in range(size)) for size in (4_000, 16_000))
    assert seconds(fourfold) < 10 * seconds(once) + 0.2
