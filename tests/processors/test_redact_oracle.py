"""Redaction with its shortcuts finds exactly what the plain one finds: every pattern over every string."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.findings import KINDS, finders
from processors.curation.folding import folded
from processors.curation.patterns import NAMES_THAT_TELL, patterns
from processors.curation.phones import Phones
from processors.curation.redact import Redactor
from schemas.digests import compact_json
from tests.processors.test_redact_kinds import BESIDE, FOUND, KEPT

IDENTIFIERS = {"ORDER": r"\bAC-[0-9]{4}\b", "ODD": "zz*|^$", "STAFF": r"[a-z]+@x\.org"}
REDACTORS = [Redactor(), Redactor(IDENTIFIERS)]

FOUND_BY = finders(Phones())
PLAIN = [
    (KINDS.get(p.kind, p.kind), re2.compile(p.expression), FOUND_BY[p.kind]) for p in patterns()
]
NAME = re.compile("[A-Za-z_ -]{2,40}")
CHARACTER = re.compile(r"\\{1,16}u[0-9a-fA-F]{4}|.", re.DOTALL)


def tells(name: str) -> bool:
    return bool(NAME.fullmatch(name) and NAMES_THAT_TELL.search(name))


class Plain:
    """The trace as it was before any shortcut: all patterns, one after the other, over every string."""

    def __init__(self, redactor: Redactor) -> None:
        self.trace = redactor.trace()
        self.own = [(k, re2.compile(p.pattern.decode())) for k, p in redactor._patterns.own]

    def value(self, value: Any, key: str = "") -> Any:
        name, inherited = key if NAME.fullmatch(key) else "", key if tells(key) else ""
        if isinstance(value, str):
            return self.text(value, name if len(value) <= 300 else "")
        if isinstance(value, dict):
            return {
                key: self.value(item, inherited if inherited and not tells(key) else key)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item, inherited) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) >= 1e6:
            redacted = self.text(repr(value), name)
            return value if redacted == repr(value) else redacted
        return value

    def text(self, text: str, name: str) -> str:
        lead = f"{name}: " if name else ""
        whole = lead + text.replace("\0", "\ufffd")
        cells = [
            (c, m.start())
            for m in CHARACTER.finditer(whole)
            for c in folded(m[0].encode()).decode()
        ]
        self.plain, self.places = "".join(c for c, _ in cells), [at for _, at in cells]
        self.places.append(len(whole))
        self.edits: list[tuple[int, int, str]] = []
        for kind, pattern in self.own:
            found = [m for m in pattern.finditer(self.plain[len(lead) :]) if m[0]]
            self.replace(kind, [(m.start() + len(lead), m[0]) for m in found])
        for kind, pattern, find in PLAIN:
            self.replace(kind, self.found(kind, pattern, find))
        return self.edited(whole).removeprefix(lead)

    def found(self, kind: str, pattern: Any, find: Any) -> list[tuple[int, str]]:
        """From left to right; among digits in groups each group may begin a finding."""
        spans, at, text = [], 0, self.plain
        while (match := pattern.search(text, at)) is not None:
            found, at = find(match[0]), match.end()
            if found:
                begin = text.index(found, match.start())
                at = begin + len(found)
                spans.append((begin, found))
            elif kind in ("CARD", "IBAN"):
                borders = [n for n in range(match.start() + 1, at) if text[n] in " -"]
                at = borders[0] + 1 if 0 < len(borders) < 8 else at
        return spans

    def replace(self, kind: str, spans: list[tuple[int, str]]) -> None:
        names = [self.trace._placeholder(kind, found.encode()).decode() for _, found in spans]
        for (begin, found), name in reversed([*zip(spans, names, strict=True)]):
            end = begin + len(found)
            first, last = self.places[begin], self.places[end]
            kept = [edit for edit in self.edits if not (first <= edit[0] and edit[1] <= last)]
            self.edits = [*kept, (first, last, name)]
            self.plain = self.plain[:begin] + name + self.plain[end:]
            self.places[begin:end] = [first] * len(name)

    def edited(self, text: str) -> str:
        for first, last, name in sorted(self.edits, reverse=True):
            text = text[:first] + name + text[last:]
        return text


def plainly(redactor: Redactor, value: Any) -> tuple[Any, dict[str, int]]:
    plain = Plain(redactor)
    return plain.value(value), plain.trace.counts


def shortly(redactor: Redactor, value: Any) -> tuple[Any, dict[str, int]]:
    trace = redactor.trace_of(compact_json(value))
    return (trace.value(value), trace.counts) if trace else (value, {})


HINTS = [text for _, text in FOUND.values()] + list(KEPT.values()) + [t for t, _ in BESIDE.values()]
BITS = [*"0123456789", "-", ".", " ", "+", "@", "(", ")", "é", "\n", "\0", '"', "\\", "\\n", "/", "<", ">", "_", "#",
        *("sk-", "ghp_", "eyJ", "AKIA", "DE89", "a1B2" * 5, "x.org", "415", "555", "2671", "AC-1234", "1.1.1.1",
          "card ", "ssn", "api_key", "tel ", "call me", "2001:db8", "::", "%40", "\\u0040", "\\u002B", "://a:", "\u00a0", "\u2011", "\uff20", "\u200b",
          "\uff14", "\\u00fc", "u\u0308", "пример", "例子")]  # fmt: skip
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
            dice.choice(["phone", "card", "api_key", "ssn"]): dice.choice(HINTS)
            if dice.random() < 0.3
            else dice.choice([4155552671, 4111111111111111, 123456789, 4111111111111111.0, 7]),
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
