"""The names by which datasets know the ledger's rows."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from schemas.records import partition_key

PLACE = ("cluster", "topic", "partition", "incarnation", "offset")
"""The columns that they are made of."""


def row_names(rows: pa.Table | pa.RecordBatch) -> Iterator[str]:
    """The name of each row: `cluster:topic:partition:offset`, as `partition_key` writes the first three.

    A column that came after the rows were written is null.
    """
    known = {name: rows[name].to_pylist() for name in PLACE if name in rows.schema.names}
    places = zip(*(known.get(name, [None] * rows.num_rows) for name in PLACE), strict=True)
    for cluster, topic, partition, number, offset in places:
        yield f"{partition_key(cluster, topic, partition, number or 0)}:{offset}"
