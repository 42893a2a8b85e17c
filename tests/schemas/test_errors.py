"""The error table: stable, complete, and every error says what to do."""

from __future__ import annotations

import re

import pytest

from schemas.errors import Code, InvalidEvent, LorikeetError, NotReady, Unrecoverable


def test_numbers_are_unique_and_ours() -> None:
    numbers = [code.number for code in Code]
    assert len(numbers) == len(set(numbers)) == len(Code.__members__)
    assert all(re.fullmatch(r"E7\d{3}", number) for number in numbers)
    assert numbers == sorted(numbers)


def test_published_codes_never_change_their_number() -> None:
    published = {
        "E7001": "NOT_JSON",
        "E7006": "INVALID_DATA",
        "E7014": "PLAN_CYCLE",
        "E7101": "BAD_SETTINGS",
        "E7203": "LEDGER_FENCED",
        "E7301": "DATASET_TOO_SMALL",
        "E7405": "LEASE_LOST",
        "E7502": "BAD_SIGNATURE",
        "E7607": "GATE_CLOSED",
        "E7703": "NOT_APPLIED",
        "E7801": "NO_BROKER",
    }
    assert {code.number: code.name for code in Code if code.number in published} == published


@pytest.mark.parametrize("code", Code, ids=lambda code: code.number)
def test_each_code_says_what_is_wrong_and_what_to_do(code: Code) -> None:
    for sentence in (code.meaning, code.remedy):
        assert len(sentence) >= 10
        assert sentence == sentence.strip(" .;")
    assert code.meaning != code.remedy
    assert ";" not in code.meaning


@pytest.mark.parametrize("kind", [InvalidEvent, NotReady, Unrecoverable])
def test_an_error_shows_its_code_its_case_and_its_remedy(kind: type[LorikeetError]) -> None:
    error = kind(Code.TOO_LARGE, "5 bytes, limit 4")
    assert str(error) == (
        "E7007 the event is over the size limit: 5 bytes, limit 4;"
        " send less, or raise curation.max_bytes"
    )
    assert str(kind(Code.EMPTY)).startswith("E7002 the record has no value; do not ")
    assert str(kind(Code.EMPTY, remedy="look here")).endswith("; look here")
    assert isinstance(error, LorikeetError)


def test_the_three_kinds_are_told_apart() -> None:
    kinds = (InvalidEvent, NotReady, Unrecoverable)
    assert all(not issubclass(a, b) for a in kinds for b in kinds if a is not b)
