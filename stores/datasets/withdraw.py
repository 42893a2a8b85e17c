"""Withdrawing sealed datasets and golden sets: what they hold, and that it is deleted."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.datasets import Manifest
from stores.artifacts.objects import ObjectFolder
from stores.datasets.store import MANIFEST, DatasetStore, shard_key

WHO = ("row_id", "label_row", "session", "user", "source", "chosen_row", "rejected_row")
"""What of an example or a pair tells whose it is."""


def who(store: DatasetStore, key: str) -> pa.Table:
    """The columns `WHO` of a shard, as far as its kind has them. Raises Unrecoverable(NO_SUCH_FILE)."""
    stored = pq.ParquetFile(io.BytesIO(store.objects.get(key)))
    return stored.read(columns=[name for name in WHO if name in stored.schema_arrow.names])


def manifests(store: DatasetStore) -> Iterator[Manifest]:
    """Every manifest that is there."""
    for key in list(store.objects.keys("datasets")):
        folder, _, name = key.rpartition("/")
        if name == MANIFEST:
            yield store.manifest(folder.rpartition("/")[2])


def withdraw(store: DatasetStore, digest: str, shards: Iterable[str]) -> None:
    """Delete a dataset, and those of its shard files that no other manifest names.

    The manifest goes first: nobody may read half a dataset. So `shards` are to be noted before; called
    again, this goes on.
    """
    prefix = f"datasets/{digest}"
    delete(store.objects, [f"{prefix}/{MANIFEST}"])
    delete(store.objects, list(store.objects.keys(prefix)))
    wanted = {f"shards/{file}.parquet" for file in shards}
    delete(store.objects, sorted(wanted.intersection(orphans(store))))


def orphans(store: DatasetStore) -> list[str]:
    """The shards that no manifest names: withdrawn, of a seal that was killed, or of one under way."""
    named = {shard_key(shard) for manifest in manifests(store) for shard in manifest.shards}
    return [key for key in store.objects.keys("shards") if key not in named]


def delete(objects: ObjectFolder, keys: Sequence[str]) -> None:
    """Delete objects; none is fine too."""
    for key in keys:
        objects.delete(key)
