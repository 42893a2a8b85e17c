"""Tables as people see them: they fit 80 columns, and no id is broken."""

from __future__ import annotations

from itertools import pairwise

import pytest

from service.cli.columns import Column, fitting, line
from service.cli.options import print_table

ID = "dace8076273e"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns, which rich would break words for."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")


@pytest.mark.usefixtures("narrow")
def test_spare_columns_go_first_and_ids_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["id", "model", "versions", "state", "share", "candidate", "baseline"]
    arm = "97.3 % of 1,234"
    rows = [(ID, "default/support-desk", "1.0.0 → 1.1.0", "rolled_back", "20.0 %", arm, arm)]
    print_table("T", names, rows, whole=["id", "versions"], spare=["share", "baseline"])
    shown = capsys.readouterr().out
    assert max(len(one.rstrip()) for one in shown.splitlines()) <= 80
    assert ID in shown
    assert "1.0.0 → 1.1.0" in shown
    assert "candidate" in shown
    assert "share" not in shown
    assert "baseline" not in shown


@pytest.mark.usefixtures("narrow")
def test_text_wraps_between_words_and_an_empty_column_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [(ID, "a word or two " * 8, None), (ID, "more", "")]
    print_table("T", ["id", "says", "nothing"], rows)
    shown = capsys.readouterr().out
    assert max(len(one.rstrip()) for one in shown.splitlines()) <= 80
    assert "nothing" not in shown
    assert {*shown.split()} >= {"a", "word", "or", "two", ID}


@pytest.mark.usefixtures("narrow")
def test_a_line_is_longer_than_the_terminal_before_an_id_is_broken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table("T", ["one", "other", "n"], [("a" * 64, "b" * 64, 1_000)])
    shown = capsys.readouterr().out
    assert "a" * 64 in shown
    assert "b" * 64 in shown
    assert "1,000" in shown


def test_widths_of_columns() -> None:
    prose, name, spare = Column(7, 200), Column(12, 12), Column(20, 20, spare=1)
    assert fitting([name, spare], 80) == {0: 12, 1: 20}
    assert fitting([name, prose, spare], 80) == {0: 12, 1: 43, 2: 20}
    assert fitting([name, prose, spare], 40) == {0: 12, 1: 25}
    assert fitting([prose, prose], 61) == {0: 29, 1: 29}
    assert fitting([name, name], 5) == {0: 12, 1: 12}
    found = [line([*fitting([prose, name, spare], room).values()]) for room in range(25, 100)]
    assert all(before <= after for before, after in pairwise(found))
