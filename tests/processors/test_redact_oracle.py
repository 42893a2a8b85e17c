"""Redaction with its shortcuts finds exactly what the plain one finds: every pattern over every string."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.findings import FINDERS, PATTERNS, whole
from processors.curation.redact import Redactor
from schemas.digests import compact_json
from tests.processors.test_redact_kinds import BESIDE, FOUND, KEPT

IDENTIFIERS = {"ORDER": r"\bAC-[0-9]{4}\b", "ODD": "zz*|^$", "STAFF": r"[a-z]+@x\.org"}
REDACTORS = [Redactor(), Redactor(IDENTIFIERS)]

PLAIN = [(kind, re2.compile(p), FINDERS.get(kind, whole)) for kind, p in PATTERNS]


class Plain:
    """The trace as it was before any shortcut: all patterns, one after the other."""

    def __init__(self, redactor: Redactor) -> None:
        self.trace = redactor.trace()
        patterns = redactor._patterns
        self.patterns = [*patterns.own, *PLAIN]

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        text = text.replace("\0", "\ufffd")
        for kind, pattern, find in self.patterns:
            text = pattern.sub(
                lambda match, kind=kind, find=find: self.trace._place(kind, match.group(0), find),
                text,
            )
        return text


def plainly(redactor: Redactor, value: Any) -> tuple[Any, dict[str, int]]:
    plain = Plain(redactor)
    return plain.value(value), plain.trace.counts


def shortly(redactor: Redactor, value: Any) -> tuple[Any, dict[str, int]]:
    trace = redactor.trace_of(compact_json(value))
    return (trace.value(value), trace.counts) if trace else (value, {})


HINTS = [text for _, text in FOUND.values()] + list(KEPT.values()) + [t for t, _ in BESIDE.values()]
BITS = [*"0123456789", "-", ".", " ", "+", "@", "(", ")", "é", "\n", "\0", '"', "\\", "\\n", "/", "<", ">", "_", "#",
        *("sk-", "ghp_", "eyJ", "AKIA", "DE89", "a1B2" * 5, "x.org", "415", "555", "2671", "AC-1234", "1.1.1.1")]  # fmt: skip
texts = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([*BITS, *HINTS]), max_size=8).map("".join),
    st.lists(st.sampled_from(BITS), max_size=40).map("".join),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("redactor", REDACTORS, ids=["built-in", "own"])
@given(value=values)
def test_any_value(redactor: Redactor, value: Any) -> None:
    assert shortly(redactor, value) == plainly(redactor, value)


def test_ten_thousand_texts_of_what_the_patterns_are_made_of() -> None:
    dice = random.Random(4)
    found = 0
    for _ in range(10_000):
        pieces = dice.choices([*BITS, *dice.choices(HINTS, k=4)], k=dice.randrange(1, 14))
        value = {
            "a": "".join(pieces),
            "b": [dice.choice(HINTS), {"c": "x"}] if dice.random() < 0.3 else 1,
        }
        redacted = shortly(REDACTORS[0], value)
        assert redacted == plainly(REDACTORS[0], value), json.dumps(value)
        found += bool(redacted[1])
    assert 2_000 < found < 9_000


@pytest.mark.parametrize("again", [False, True])
def test_more_findings_than_are_looked_for_one_by_one(again: bool) -> None:  # noqa: FBT001
    value = (
        ["b@x.org"] * 99 + ["c@x.org"]
        if again
        else [f"mail {n}@x.org or a{n}@y.org" for n in range(100)] + ["nothing", "\0", "1@x.org"]
    )
    assert shortly(REDACTORS[0], value) == plainly(REDACTORS[0], value)


@pytest.mark.parametrize("redactor", REDACTORS, ids=["built-in", "own"])
def test_what_is_escaped_in_json_hides_nothing(redactor: Redactor) -> None:
    secrets = ["ann@x.org", "4111111111111111", "sk-" + "a1B2" * 8, "10.0.0.1", "+33 1 23 45 67 89"]
    for before in (
        "\n",
        "\t",
        '"',
        "\\",
        "\\n",
        "\0",
        "\x1f",
        "/",
        "é",
        "\u2028",
        "n",
        "u0000",
        "\x10",
        "\x0f",
        "\\u001",
    ):
        for secret in secrets:
            value = {
                "a": f"{before}{secret}",
                "b": f"{secret}{before}",
                "c": f"{before}{secret}{before}",
            }
            assert shortly(redactor, value) == plainly(redactor, value)
