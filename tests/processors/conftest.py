"""The window that the seal's tests share: its rows, its offsets, and what it is sealed to."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from processors.curation.seal.seal import Sealed, choose_golden, seal
from schemas.datasets import GoldenCase
from schemas.rows import Row
from tests.processors.window import RECIPE, offsets_of, partitions, rows_of


@dataclass(frozen=True)
class SealedWindow:
    """Rows up to offsets, their dataset, and their dataset beside a golden set."""

    rows: list[Row]
    offsets: dict[str, int]
    sealed: Sealed
    golden: list[GoldenCase]
    beside: Sealed


@pytest.fixture(scope="session")
def window() -> SealedWindow:
    found = partitions()
    rows, offsets = rows_of(found), offsets_of(found)
    golden = choose_golden(rows, RECIPE, offsets)
    return SealedWindow(
        rows,
        offsets,
        seal(rows, RECIPE, offsets),
        golden,
        seal(rows, RECIPE, offsets, golden),
    )
