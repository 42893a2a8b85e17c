"""The dead-letter guard: the share among the last records, foreign types left out."""

from __future__ import annotations

import pytest

from consumers.guard import DeadLetterGuard
from consumers.settings import DeadLetterSettings
from schemas.errors import Halted
from schemas.rows import Disposition, Row
from schemas.telemetry import NoMeter
from tests.support import row

DEAD = row(disposition=Disposition.DEAD_LETTER)
FOREIGN = row(disposition=Disposition.REJECTED, reasons=("unknown_type",))
GOOD = row()


def guard(*, stop: bool = True) -> DeadLetterGuard:
    return DeadLetterGuard(DeadLetterSettings(limit=0.2, window=100, stop=stop), NoMeter())


def seen(chunks: list[list[Row]], *, stop: bool = True) -> DeadLetterGuard:
    found = guard(stop=stop)
    for chunk in chunks:
        found.see(chunk)
    return found


@pytest.mark.parametrize("size", [1, 7, 50, 200])
def test_the_limit_itself_is_allowed_and_one_more_is_not(size: int) -> None:
    allowed = [GOOD] * 80 + [DEAD] * 20
    pieces = [allowed[i : i + size] for i in range(0, 100, size)]
    assert seen(pieces).share == pytest.approx(0.2)
    with pytest.raises(Halted):
        seen([*pieces[:-1], [*pieces[-1], DEAD]])


def test_few_records_prove_nothing() -> None:
    assert seen([[DEAD] * 99]).share == 0.0


def test_foreign_types_neither_count_nor_dilute() -> None:
    assert seen([[FOREIGN] * 5_000, [DEAD] * 99]).share == 0.0
    with pytest.raises(Halted):
        seen([[FOREIGN] * 5_000, [DEAD] * 30, [GOOD] * 70])


def test_what_is_long_ago_is_forgotten() -> None:
    assert seen([[DEAD] * 100, *[[GOOD] * 10] * 20], stop=False).share == 0.0


def test_without_the_order_to_stop_nothing_is_raised() -> None:
    assert seen([[DEAD] * 500], stop=False).share == 1.0
