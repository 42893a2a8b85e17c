"""`duplicate`: the answer depends on the sequence of a partition's rows and on nothing else."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import defaultdict

import pyarrow as pa
import pytest

from processors.curation.duplicates import BLOCKS, Seen
from processors.curation.remembered import Block, keys_of
from schemas.rows import Disposition, Row
from tests.support import row

WINDOW, ROWS, SIZE = 10, 60, 2
"""A block has two offsets, so that 60 to 62 rows are remembered."""
COLUMNS = ("offset", "timestamp", "tenant", "source", "id")
Arrival = tuple[int, str | None, int]
"""Offset, id, timestamp."""


def rows(found: list[Arrival]) -> list[Row]:
    return [row(o, id=name, timestamp=at, content="text", pii="{}") for o, name, at in found]


def arrivals(*found: tuple[str | None, int]) -> list[Arrival]:
    return [(offset, name, at) for offset, (name, at) in enumerate(found)]


def judged(found: list[Arrival], seen: Seen | None = None) -> list[bool]:
    partition = seen or Seen(WINDOW, ROWS)
    return [partition.judge(each).disposition == "duplicate" for each in rows(found)]


def forgotten(found: list[Arrival], index: int) -> set[int]:
    """The blocks that the definition forgets at a row."""
    blocks: dict[int, list[int]] = defaultdict(list)
    for offset, _, stamp in found[:index]:
        blocks[offset // SIZE].append(stamp)
    now = found[index][0] // SIZE
    outdated = {
        old
        for old, stamps in blocks.items()
        for later, others in blocks.items()
        if old < later < now and later - old <= BLOCKS and min(others) - max(stamps) > WINDOW
    }
    return outdated | {old for old in blocks if now - old > BLOCKS}


def slowly(found: list[Arrival]) -> list[bool]:
    """The definition, written plainly."""
    answers = []
    for index, (_, name, stamp) in enumerate(found):
        gone = forgotten(found, index)
        answers.append(
            name is not None
            and any(
                other == name and at >= stamp - WINDOW and offset // SIZE not in gone
                for offset, other, at in found[:index]
            )
        )
    return answers


def restarted(found: list[Arrival], stored: int, dice: random.Random) -> Seen:
    """What is read back from a ledger that has these rows and this next offset."""
    seen = Seen(WINDOW, ROWS)
    first = seen.first(stored)
    held = [each for each in rows(found) if each.offset >= first]
    blocks: dict[int, list[int]] = defaultdict(list)
    for each in held:
        blocks[each.offset // SIZE].append(each.timestamp)
    lowest = seen.prepare((n, min(s), max(s)) for n, s in blocks.items())
    wanted = [each for each in held if each.offset >= lowest]
    dice.shuffle(wanted)
    for start in range(0, len(wanted), 7):
        part = wanted[start : start + 7]
        seen.load(pa.RecordBatch.from_pylist([{n: getattr(r, n) for n in COLUMNS} for r in part]))
    seen.loaded()
    return seen


def sequence(dice: random.Random) -> list[Arrival]:
    """In order, out of order, negative and far-off timestamps; identities that repeat, and none."""
    found, offset, clock = [], 0, 0
    for _ in range(dice.randrange(50)):
        offset += dice.choice((1, 1, 1, 1, 2, 40 if dice.random() < 0.1 else 1))
        clock += dice.choice((0, 0, 1, 2, 15 if dice.random() < 0.2 else 0))
        late = clock - dice.randrange(25)
        stamp = dice.choice((clock, clock, clock, late, -1, -5, 2**45, -(2**62), 2**62))
        found.append((offset, dice.choice((None, "a", "b", "c", "d", str(offset))), stamp))
    return found


def test_a_plain_oracle_agrees_and_a_restart_anywhere_changes_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dice, known, cut = random.Random(11), 0, 0
    for _ in range(3_000):
        monkeypatch.setattr("processors.curation.duplicates._RECENT", dice.choice((1, 3, 4_096)))
        found = sequence(dice)
        wanted = slowly(found)
        assert judged(found) == wanted
        split = dice.randrange(len(found) + 1)
        stored = found[split - 1][0] + 1 if split else 0
        if split < len(found):
            stored = dice.choice((stored, found[split][0]))  # behind what leaves no row
        again = restarted(found[:split], stored, dice)
        assert judged(found[split:], again) == wanted[split:]
        known += sum(wanted)
        cut += bool(found) and bool(forgotten(found, len(found) - 1))
    assert known > 5_000, "the sequences have duplicates"
    assert cut > 500, "the sequences are long enough to be forgotten"


def test_a_timestamp_far_off_ends_no_detection() -> None:
    for stamp in (2**45, 2**62, -1, -(2**62)):
        found = arrivals(("a", 100), ("x", stamp), *[("a", 100 + n) for n in range(60)])
        assert judged(found) == [False, False, *[True] * 60]


def test_the_window_s_edge_belongs_to_it() -> None:
    assert judged(arrivals(("a", 5), ("a", 15))) == [False, True]
    assert judged(arrivals(("a", 5), ("a", 16))) == [False, False]
    assert judged(arrivals(("a", 5), ("a", 14), ("a", 24))) == [False, True, True]


def test_a_late_row_is_compared_with_its_own_time() -> None:
    assert judged(arrivals(("a", 5), ("b", 16), ("a", 6))) == [False, False, True]
    assert judged(arrivals(("a", 20), ("a", 1))) == [False, True]


def test_memory_is_bounded_by_rows_and_by_time() -> None:
    seen = Seen(WINDOW, ROWS)
    judged([(n, str(n), 0) for n in range(500)], seen)
    assert sum(map(len, seen._blocks.values())) + len(seen._recent) <= ROWS + SIZE
    judged([(n, str(n), n) for n in range(500, 600)], seen)
    assert sum(map(len, seen._blocks.values())) + len(seen._recent) <= WINDOW + 2 * SIZE


def test_two_digests_that_share_their_first_64_bits_are_two() -> None:
    block = Block(0)
    twins = keys_of([b"\1" * 8 + b"aa", b"\1" * 8 + b"bb", b"\1" * 8 + b"aa"])
    block.add(twins, twins["rest"].astype("i8") * 0 + [1, 2, 3])
    key = int(twins["key"][0])
    places = [block.find(key, int(rest)) for rest in twins["rest"][:2]]
    assert [block.stamp(place) for place in places] == [3, 2]
    assert block.find(key, 0) == -1


_FILL = """
import resource
from processors.curation.duplicates import Seen
from tests.support import row
def held():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
seen, one = Seen(7 * 86_400_000, 2_000_000), row()
for n in range(600_000):
    if n == 200_000:
        before = held()
    seen.judge(one._replace(offset=n, id=str(n), timestamp=1_795_000_000_000 + n))
print((held() - before) / 400_000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_row_held_costs_some_twenty_bytes() -> None:
    command = [sys.executable, "-c", _FILL]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert float(found.stdout) < 24  # seen: 14.0


def test_a_duplicate_keeps_its_place_and_loses_its_text() -> None:
    seen = Seen(WINDOW, ROWS)
    first, second = rows(arrivals(("a", 1), ("a", 2)))
    assert seen.judge(first) == first
    assert seen.judge(second) == second._replace(
        disposition=Disposition.DUPLICATE, reasons=("duplicate",), content=None, pii=None
    )


def test_tenant_source_and_id_make_the_identity() -> None:
    seen = Seen(WINDOW, ROWS)
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
