"""What becomes of each row of a window: chosen, or left out for the first reason that was found."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


class Fates:
    """One code a row; reasons are numbered in the order in which they first took a row."""

    def __init__(self, rows: int) -> None:
        self._codes = np.zeros(rows, np.int16)
        self._reasons: list[str] = []

    @property
    def kept(self) -> Mask:
        """Which rows nothing has taken so far."""
        kept: Mask = self._codes == 0
        return kept

    def drop(self, mask: Mask, reason: str) -> None:
        """Leave out rows, as far as no earlier reason did. A reason that takes none is not named."""
        taken = mask & self.kept
        if taken.any():
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._codes[taken] = self._reasons.index(reason) + 1

    def counts(self) -> dict[str, int]:
        """How many rows each reason took, by name."""
        found = np.bincount(self._codes, minlength=len(self._reasons) + 1)[1:]
        return dict(sorted(zip(self._reasons, found.tolist(), strict=True)))

    def reasons(self) -> pa.Array:
        """Why each row was left out; empty if it was not."""
        names = pa.array(["", *self._reasons], pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(self._codes), names).cast(pa.string())
