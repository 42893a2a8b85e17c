"""`duplicate`: the answer depends on the sequence of a partition's rows and on nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processors.curation.duplicates import Identity, Seen, identity_of
from schemas.rows import Disposition, Row
from tests.support import row

WINDOW = 10
arrivals = st.lists(
    st.tuples(st.sampled_from([None, "a", "b", "c"]), st.integers(-1, 40)), max_size=40
)
Arrival = tuple[str | None, int]


def rows(found: list[Arrival]) -> list[Row]:
    return [
        row(offset, id=name, timestamp=stamp, content="text", pii="{}")
        for offset, (name, stamp) in enumerate(found)
    ]


def judged(found: list[Arrival], seen: Seen | None = None) -> list[bool]:
    partition = Seen(WINDOW) if seen is None else seen
    return [partition.judge(each).disposition == "duplicate" for each in rows(found)]


def slowly(found: list[Arrival]) -> list[bool]:
    """The definition: the same identity earlier, no older than the window before the watermark."""
    answers = []
    for index, (name, _) in enumerate(found):
        watermark = max(stamp for _, stamp in found[: index + 1])
        answers.append(
            name is not None
            and any(other == name and stamp >= watermark - WINDOW for other, stamp in found[:index])
        )
    return answers


def loaded(found: list[Arrival]) -> list[tuple[Identity | None, int]]:
    return [(identity_of(each), each.timestamp) for each in rows(found)]


@given(arrivals)
def test_a_slow_oracle_agrees_whatever_the_order_of_timestamps(found: list[Arrival]) -> None:
    assert judged(found) == slowly(found)


@given(arrivals, st.integers(0, 40))
def test_a_restart_anywhere_changes_no_answer(found: list[Arrival], split: int) -> None:
    seen = Seen(WINDOW)
    seen.load(loaded(found[:split]))
    assert judged(found[split:], seen) == judged(found)[split:]


@given(arrivals)
def test_memory_is_bounded_by_the_window(found: list[Arrival]) -> None:
    in_order = sorted(found, key=lambda arrival: arrival[1])
    seen = Seen(WINDOW)
    judged(in_order, seen)
    inside = [stamp for name, stamp in in_order if name and stamp >= seen.watermark - WINDOW]
    assert len(seen._queue) <= len(inside)
    assert len(seen._latest) <= len({n for n, s in in_order if s >= seen.watermark - WINDOW})


def test_the_window_s_edge_belongs_to_it() -> None:
    assert judged([("a", 5), ("a", 15)]) == [False, True]
    assert judged([("a", 5), ("a", 16)]) == [False, False]
    assert judged([("a", 5), ("b", 16), ("a", 6)]) == [False, False, False]
    assert judged([("a", 5), ("a", 14), ("a", 24)]) == [False, True, True]


def test_no_timestamp_is_too_small_to_count() -> None:
    assert judged([("a", 0), ("a", 0)]) == [False, True]
    assert judged([("a", -1), ("b", 5), ("a", 5)]) == [False, False, True]


def test_a_duplicate_keeps_its_place_and_loses_its_text() -> None:
    seen = Seen(WINDOW)
    first, second = rows([("a", 1), ("a", 2)])
    assert seen.judge(first) == first
    assert seen.judge(second) == second._replace(
        disposition=Disposition.DUPLICATE, reasons=("duplicate",), content=None, pii=None
    )


def test_tenant_source_and_id_make_the_identity() -> None:
    seen = Seen(WINDOW)
    same = row(0, timestamp=1)
    others = [
        same._replace(tenant="x"),
        same._replace(source="x"),
        same._replace(id="x"),
        same._replace(id=None),
        same._replace(id=None),
    ]
    assert [seen.judge(each).disposition for each in [same, *others]] == ["accepted"] * 6
    assert seen.judge(same._replace(type="other")).disposition == "duplicate"
