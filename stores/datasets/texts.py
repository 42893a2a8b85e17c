"""Many texts on a disk, read back by their numbers: what does not fit in memory but is asked for again."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


class Texts:
    """One file, UTF-8, text after text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._sizes: list[Array] = []

    def add(self, texts: Iterable[str]) -> None:
        """Append texts; they are numbered from 0 as they come."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._file.write(b"".join(encoded))
        self._sizes.append(np.fromiter(map(len, encoded), np.int64, len(encoded)))

    def reader(self, order: Array) -> Callable[[Array], Sequence[str]]:
        """Nothing can be added any more; text i of the reader is text `order[i]` of the file."""
        self._file.close()
        ends = np.cumsum(np.concatenate([np.zeros(1, np.int64), *self._sizes]))
        if not ends[-1]:
            return lambda rows: [""] * len(rows)
        with self._path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

        def read(rows: Array) -> Sequence[str]:
            places = order[rows]
            spans = zip(ends[places].tolist(), ends[places + 1].tolist(), strict=True)
            return [data[begin:end].decode("utf-8", "surrogatepass") for begin, end in spans]

        return read
