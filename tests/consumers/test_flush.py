"""What waits for a commit: its weight, and the slices in which it is decided."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumers.flush import Waiting, slices, weight
from schemas.records import Record, TopicPartition
from schemas.rows import Disposition, Row
from tests.support import row

TP = TopicPartition("t", 0)
MIB = 1024 * 1024
RECORDS = st.lists(
    st.builds(
        Record,
        topic=st.just("t"),
        partition=st.just(0),
        offset=st.just(0),
        timestamp=st.integers(0, 10**12),
        key=st.none() | st.binary(max_size=9),
        value=st.none() | st.integers(0, MIB).map(bytes),
        headers=st.lists(st.tuples(st.text("abc"), st.none() | st.binary(max_size=9))).map(tuple),
    ),
    max_size=8,
)


def letters(records: Sequence[Record]) -> list[Row]:
    return [
        row(n, size=len(record.value or b""), disposition=Disposition.DEAD_LETTER)
        for n, record in enumerate(records)
    ]


@given(RECORDS)
def test_slices_are_all_records_in_order_each_as_small_as_can_be(records: list[Record]) -> None:
    found = list(slices(records))
    assert [record for part, _ in found for record in part] == records
    for number, (part, size) in enumerate(found):
        assert size == sum(map(weight, part))
        assert size - weight(part[-1]) < MIB, "it ends with the record that fills it"
        assert size >= MIB or number == len(found) - 1


def test_a_slice_of_none_is_none() -> None:
    assert list(slices([])) == []


@given(RECORDS.filter(bool))
def test_a_letter_weighs_what_its_record_holds_and_a_row_its_value(records: list[Record]) -> None:
    waiting = Waiting()
    waiting.add(TP, records, letters(records))
    assert waiting.size == sum(map(weight, records))
    assert len(waiting.letters) == len(records)
    plain = Waiting()
    plain.add(
        TP, records, [each._replace(disposition=Disposition.ACCEPTED) for each in letters(records)]
    )
    assert plain.size == sum(len(record.value or b"") for record in records)
    assert plain.letters == []
    assert plain.oldest == min(record.timestamp for record in records)
