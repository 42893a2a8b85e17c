"""Which rows are of a subject, and what is left of them: by rows and by columns alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.curation.curate import Curator
from processors.curation.emptying import Emptying
from processors.curation.erasures import KEPT, KEYS, ErasureIndex, run_keys
from processors.curation.policy import CurationPolicy
from processors.curation.subjects import subject_of
from schemas.erasures import Erasure, ErasureKind, ErasureState
from schemas.rows import Disposition, Row
from stores.ledger.schema import to_row, to_table
from tests.support import erasure, event, execution, record, row, thumb

POLICY = CurationPolicy(hmac_key=b"key")


def erased(
    subject: dict[str, str],
    kind: ErasureKind = ErasureKind.ERASURE,
    tenant: str = "default",
    name: str = "e",
) -> Erasure:
    return Erasure(
        id=name,
        tenant=tenant,
        kind=kind,
        subject=subject,
        reason="",
        requested_by="",
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        state=ErasureState.ASKED,
        report={},
        certificate=None,
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def decided(**changes: Any) -> Row:
    data = execution(user_id="ann", session_id="s", execution_id="r", **changes)
    data["messages"][0]["content"] += " for ann@example.org"
    return Curator("c", POLICY).row(record(event("execution.completed", data, id="e1")))


@pytest.mark.parametrize(
    "text",
    [
        "user:ann",
        "session:s",
        "source:urn:test",
        "event:urn:test#e1",
        "execution:urn:test#r",
        "value:Ann@Example.org",
        "value: ANN@example.org ",
    ],
)
def test_a_row_is_found_by_what_a_person_calls_its_subject(text: str) -> None:
    (left,), _ = ErasureIndex([erased(subject_of(text, "default", POLICY))]).emptied([decided()])
    assert (left.disposition, left.reasons) == (Disposition.REJECTED, ("erased",))
    assert {name for name, value in left._asdict().items() if value not in (None, ())} <= KEPT


@pytest.mark.parametrize(
    "text",
    ["user:bob", "session:ann", "source:urn:other", "event:urn:test#r", "execution:urn:test#e1"],
)
def test_others_stay(text: str) -> None:
    before = decided()
    left, runs = ErasureIndex([erased(subject_of(text, "default", POLICY))]).emptied([before])
    assert (left, runs) == ([before], [])


def test_another_tenants_rows_stay() -> None:
    before = decided()
    for tenant, hidden in (("other", "default"), ("other", "other")):
        subject = subject_of("user:ann", hidden, POLICY)
        assert ErasureIndex([erased(subject, tenant=tenant)]).emptied([before])[0] == [before]


def test_the_word_that_asks_for_it_stays() -> None:
    asked = Curator("c", POLICY).row(record(event("feedback.received", erasure(user_id="bob"))))
    index = ErasureIndex([erased(subject_of("user:bob", "default", POLICY))])
    assert asked.user == subject_of("user:bob", "default", POLICY)["user"], "he asks himself"
    assert index.emptied([asked])[0] == [asked]


def test_what_is_said_of_an_erased_run_goes_with_it() -> None:
    subject = subject_of("user:ann", "default", POLICY)
    _, runs = ErasureIndex([erased(subject)]).emptied([decided()])
    assert {key for key, _ in runs} == set(run_keys("default", "urn:test", "r"))
    index = ErasureIndex([erased(subject)], runs)

    def of(**target: str) -> tuple[str, ...]:
        said = thumb("r", target={"execution_id": "r", **target})
        found = Curator("c", POLICY).row(record(event("feedback.received", said)))
        return index.emptied([found])[0][0].reasons

    assert of() == of(source="urn:test") == ("erased",)
    assert of(source="urn:other") == ()


_ROWS = st.builds(
    lambda offset, disposition, names, type_: row(
        offset, disposition=disposition, type=type_, content="x", **names
    ),
    st.integers(0, 100),
    st.sampled_from(list(Disposition)),
    st.fixed_dictionaries(
        {
            "user": st.sampled_from([None, "u", "v"]),
            "session": st.sampled_from([None, "s"]),
            "source": st.sampled_from(["a", "b"]),
            "run_id": st.sampled_from([None, "r", "q"]),
            "target_run": st.sampled_from([None, "r"]),
            "target_source": st.sampled_from([None, "a"]),
            "pii": st.sampled_from([None, '{"EMAIL": {"h": 1}}']),
            "feedback": st.sampled_from([None, "edit", "erasure"]),
            "tenant": st.sampled_from(["default", "t"]),
        }
    ),
    st.sampled_from(["execution.completed", "feedback.received"]),
)
_SUBJECTS = st.sampled_from(
    [
        {"user": "u"},
        {"session": "s"},
        {"source": "a"},
        {"source": "b", "execution_id": "r"},
        {"source": "a", "event_id": "event-7"},
        {"finding": "h"},
    ]
)


@given(
    st.lists(_ROWS, min_size=1, max_size=8),
    st.lists(st.tuples(_SUBJECTS, st.sampled_from(list(ErasureKind))), max_size=3),
)
def test_a_file_is_emptied_as_rows_are_and_only_once(
    rows: list[Row], wanted: list[tuple[dict[str, str], ErasureKind]]
) -> None:
    known = [erased(s, k, name=str(n)) for n, (s, k) in enumerate(wanted)]
    index = ErasureIndex(known, [(run_keys("default", "a", "q")[1], "0")])
    expected = index.emptied(rows)[0]
    table = to_table(rows)
    emptying = Emptying(index)
    done = emptying(table)
    assert [to_row(one) for one in done.table.to_pylist()] == expected
    assert index.emptied(expected)[0] == expected, "again, it is the same"
    assert not emptying(done.table).rows
    keys = [name for name in KEYS if name in table.column_names]
    assert not emptying.concerns(done.table.select(keys))
    if done.rows:
        assert emptying.concerns(table.select(keys))
    assert sum(done.rows.values()) == sum(a != b for a, b in zip(rows, expected, strict=True))
