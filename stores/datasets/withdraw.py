"""Withdrawing sealed datasets and golden sets: what they hold, and that it is deleted."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.datasets import Manifest
from schemas.digests import sha256_hex
from schemas.errors import Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.datasets.store import MANIFEST, WITHDRAWING, DatasetStore, shard_key

WHO = ("row_id", "label_row", "session", "user", "source", "chosen_row", "rejected_row")
"""What of an example or a pair tells whose it is."""


def who(store: DatasetStore, key: str) -> pa.Table | None:
    """The columns `WHO` of a shard, as far as its kind has them; None where it is missing or damaged."""
    try:
        data = store.objects.get(key)
    except Unrecoverable:
        return None
    if key != f"shards/{sha256_hex(data)}.parquet":
        return None
    stored = pq.ParquetFile(io.BytesIO(data))
    return stored.read(columns=[name for name in WHO if name in stored.schema_arrow.names])


def manifests(store: DatasetStore) -> Iterator[Manifest]:
    """Every manifest that is there."""
    for key in list(store.objects.keys("datasets")):
        folder, _, name = key.rpartition("/")
        if name == MANIFEST and (found := _read(store, folder.rpartition("/")[2])) is not None:
            yield found


def _read(store: DatasetStore, digest: str) -> Manifest | None:
    try:
        return store.manifest(digest)
    except Unrecoverable:  # its seal has begun again
        return None


def withdraw(store: DatasetStore, digest: str, shards: Iterable[str]) -> None:
    """Delete a dataset, and those of its shard files that no other manifest names.

    The manifest goes first: nobody may read half a dataset. So `shards` are to be noted before; called
    again, this goes on.
    """
    prefix = f"datasets/{digest}"
    delete(store.objects, [f"{prefix}/{MANIFEST}"])
    delete(store.objects, list(store.objects.keys(prefix)))
    delete_orphans(store, {f"shards/{file}.parquet" for file in shards}.__contains__)


def delete_orphans(store: DatasetStore, wanted: Callable[[str], bool]) -> None:
    """Delete the wanted ones of the shards that no manifest names: one at a time may do so.

    They are withdrawn, of a seal that was killed, or of one under way, which is told by it to begin again.
    """
    store.objects.put(WITHDRAWING, b"")
    try:
        delete(store.objects, [key for key in _orphans(store) if wanted(key)])
    finally:
        forget_withdrawal(store)


def forget_withdrawal(store: DatasetStore) -> None:
    """What a killed process has said of deleting shards is not so any more."""
    delete(store.objects, [WITHDRAWING])


def _orphans(store: DatasetStore) -> list[str]:
    named = {shard_key(shard) for manifest in manifests(store) for shard in manifest.shards}
    return [key for key in store.objects.keys("shards") if key not in named]


def delete(objects: ObjectFolder, keys: Sequence[str]) -> None:
    """Delete objects; none is fine too."""
    for key in keys:
        objects.delete(key)
