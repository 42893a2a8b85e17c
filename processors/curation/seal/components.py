"""Connected components over arrays: what must stay together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from processors.curation.seal.shingles import Array

if TYPE_CHECKING:
    import pyarrow as pa


def components(count: int, left: Array, right: Array) -> Array:
    """For each of 0…count−1 the smallest member of its component, int64, given the edges."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - heavy, used here only
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - heavy, used here only

    smallest = np.arange(count)
    nodes, ends = np.unique(np.concatenate([left, right]), return_inverse=True)
    if len(nodes):
        ones = np.ones(len(left), np.int8)
        edges = (ends[: len(left)], ends[len(left) :])
        graph = coo_array((ones, edges), shape=(len(nodes), len(nodes)))
        found = connected_components(graph, directed=False)[1]
        first = np.unique(found, return_index=True)[1]
        smallest[nodes] = nodes[first[found]]
    return smallest


def groups(columns: Sequence[Array]) -> Array:
    """The group of each example, named by its smallest member: examples that share a code in any
    column (session, user, task, duplicate cluster) are in one, and so are the friends of friends.

    Each column is an integer array of one length; a negative code means absent and shares nothing.
    """
    edges = [_edges(column) for column in columns]
    left, right = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    return components(len(columns[0]), left, right)


def _edges(codes: Array) -> tuple[Array, Array]:
    """From each example to the first with the same code."""
    rows = np.flatnonzero(codes >= 0)
    _, first, group = np.unique(codes[rows], return_index=True, return_inverse=True)
    leader = rows[first[group]]
    apart = leader != rows
    return leader[apart], rows[apart]


def codes(column: pa.Array | pa.ChunkedArray) -> Array:
    """A column's values as integers: equal values, equal codes; null is −1.

    The codes themselves depend on the order of the values; what `groups` makes of them does not.
    """
    import pyarrow as pa  # noqa: PLC0415 - heavy, used here only

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return _indices(column.dictionary_encode())


def _indices(encoded: pa.DictionaryArray) -> Array:
    """Where each value stands in the dictionary; null is −1."""
    indices = encoded.indices.fill_null(-1)
    return np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def owners(columns: Mapping[str, pa.ChunkedArray], rows: Array) -> Array:
    """A number for each row (n,) uint64 by what it belongs to: its value in the first of `columns` where
    it has one, else its own of `rows` (n,) uint64.

    Two groups that share no value of these columns share no number. A group keeps its number when rows
    are added to it or leave it, as long as the owner of its smallest is among them.
    """
    found = rows.astype(np.uint64)
    for name, column in reversed([*columns.items()]):
        encoded = column.combine_chunks().dictionary_encode()
        texts = (f"{name}\0{value}".encode() for value in encoded.dictionary.to_pylist())
        digests = b"".join(blake2b(text, digest_size=8).digest() for text in texts)
        numbers, indices = np.frombuffer(digests, "<u8"), _indices(encoded)
        known = indices >= 0
        found[known] = numbers[indices[known]]
    return found


def cells(columns: Sequence[pa.Array | pa.ChunkedArray]) -> tuple[Array, list[tuple[object, ...]]]:
    """The cell of each example in the product of columns (domain × difficulty, say), and its values.

    Cells are numbered from 0 in the order of their values (null first), whatever the examples' order.
    Columns hold strings or numbers, and few different ones.
    """
    combined = np.zeros(len(columns[0]), np.int64)
    values: list[tuple[object, ...]] = [()]
    for column in columns:
        held = _values(column)
        place = codes(column) + 1
        combined = combined * len(held) + place
        values = [(*before, value) for before in values for value in held]
    present, number = np.unique(combined, return_inverse=True)
    found = [values[place] for place in present.tolist()]
    order = sorted(range(len(found)), key=lambda place: _sortable(found[place]))
    rank = np.empty(len(found), np.int64)
    rank[order] = np.arange(len(found))
    return rank[number], [found[place] for place in order]


def _values(column: pa.Array | pa.ChunkedArray) -> list[object]:
    """What the codes from −1 on stand for."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, used here only

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return [None, *column.dictionary_encode().dictionary.to_pylist()]


def _sortable(values: tuple[object, ...]) -> list[tuple[bool, Any]]:
    return [(value is not None, value) for value in values]
