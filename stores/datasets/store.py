"""Sealed datasets: a manifest that is written last, and shards that datasets share.

    datasets/<digest>/manifest.json, index.parquet, fates.parquet
    shards/<sha256>.parquet

A reader trusts only what a manifest names, and checks it. Sealed once more, a dataset is mended where its files
are damaged. Seals and withdrawals (`withdraw`) may run beside each other, in processes of their own: who deletes
shards says so first and reads the manifests then; who seals writes the manifest first and then looks whether
anybody deletes, and whether the shards are there. So one of the two sees the other.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.datasets import Example, GoldenCase, Manifest, Pair, Shard, ShardKind, Split
from schemas.digests import canonical_json, sha256_hex
from schemas.errors import Code, NotReady, Unrecoverable
from stores.artifacts.objects import ObjectFolder
from stores.datasets import golden
from stores.datasets.columns import to_example, to_pair
from stores.datasets.spill import Draft

MANIFEST = "manifest.json"
INDEX, FATES = "index.parquet", "fates.parquet"
WITHDRAWING = "datasets/withdrawing"
"""There while shards are deleted."""


class DatasetStore:
    """Sealed datasets and golden sets under one root."""

    def __init__(self, objects: ObjectFolder) -> None:
        self.objects = objects

    def uri(self, digest: str) -> str:
        """Where a dataset lies."""
        return self.objects.uri(f"datasets/{digest}")

    def write_shard(
        self,
        draft: Draft,
        name: str,
        kind: ShardKind,
        split: Split | None = None,
        known: Sequence[Shard] = (),
    ) -> Shard:
        """Store a shard; one of `known` with the same content is named again, and not written.

        If its file is what it should be, that is: it is read for it, which costs little beside the rows' texts.
        """
        content = draft.content
        for shard in known:
            same = (shard.content, shard.kind, shard.split) == (content, kind, split)
            if same and self._whole(shard_key(shard), shard.file):
                return shard.model_copy(update={"name": name})
        data = _parquet(draft.table)
        found = Shard(
            name=name,
            kind=kind,
            split=split,
            rows=draft.table.num_rows,
            content=content,
            file=sha256_hex(data),
        )
        self.objects.put(shard_key(found), data)
        return found

    def write(self, manifest: Manifest, index: pa.Table, fates: pa.Table) -> Manifest:
        """Write the dataset's own files, then the manifest; writing again changes nothing but what is damaged.

        `index` has a line for each example, in the order of the shards, which are there. Raises
        NotReady(LEDGER_REWRITTEN) where an erasure deletes shards meanwhile: seal again.
        """
        tables = {INDEX: index, FATES: fates}
        if self.holds(manifest.digest):
            return self._mended(manifest, tables)
        complete = manifest.model_copy(update={"files": self._put_tables(manifest.digest, tables)})
        self._put_manifest(complete)
        # In this order: a withdrawal that is over has left its gaps, one that begins now reads this manifest.
        if self.objects.exists(WITHDRAWING) or not self._has(complete.shards):
            for name in (MANIFEST, INDEX, FATES):
                self.objects.delete(f"datasets/{manifest.digest}/{name}")
            raise _deleted_meanwhile(self.uri(manifest.digest))
        return complete

    def holds(self, digest: str) -> bool:
        """Whether there is such a dataset."""
        return self.objects.exists(f"datasets/{digest}/{MANIFEST}")

    def manifest(self, digest: str) -> Manifest:
        """The manifest of a sealed dataset. Raises Unrecoverable(NO_SUCH_DATASET)."""
        if not self.holds(digest):
            raise Unrecoverable(Code.NO_SUCH_DATASET, digest)
        return Manifest.model_validate_json(self.objects.get(f"datasets/{digest}/{MANIFEST}"))

    def fates(self, digest: str) -> pa.Table:
        """What became of every candidate of the dataset's window."""
        return _table(self._own(self.manifest(digest), FATES))

    def fetch(self, digest: str, folder: Path) -> Manifest:
        """Bring a dataset to a local folder, every file checked against the manifest."""
        manifest = self.manifest(digest)
        folder.mkdir(parents=True, exist_ok=True)
        for shard in manifest.shards:
            (folder / shard.name).write_bytes(self._bytes(shard))
        for name in manifest.files:
            (folder / name).write_bytes(self._own(manifest, name))
        (folder / MANIFEST).write_bytes(canonical_json(manifest.model_dump(mode="json")))
        return manifest

    def examples(self, digest: str) -> Iterator[Example]:
        """The examples of a dataset in canonical order, a shard at a time."""
        index, begin = self.index(digest), 0
        for shard in self.manifest(digest).shards:
            if shard.kind is ShardKind.EXAMPLES:
                records = self.shard(shard).to_pylist()
                decided = index.slice(begin, len(records)).to_pylist()
                begin += len(records)
                yield from map(to_example, records, decided)

    def tables(self, digest: str) -> Iterator[pa.Table]:
        """The same as columns: a shard's own, and the split of each example."""
        manifest = self.manifest(digest)
        splits = _table(self._own(manifest, INDEX))["split"]
        begin = 0
        for shard in manifest.shards:
            if shard.kind is ShardKind.EXAMPLES:
                table = _table(self._bytes(shard))
                yield table.append_column("split", splits.slice(begin, table.num_rows))
                begin += table.num_rows

    def pairs(self, digest: str) -> Iterator[Pair]:
        """The preference pairs of a dataset, split by split, a shard at a time."""
        for shard in self.manifest(digest).shards:
            if shard.kind is ShardKind.PAIRS and shard.split is not None:
                for record in self.shard(shard).to_pylist():
                    yield to_pair(record, shard.split)

    def index(self, digest: str) -> pa.Table:
        """What was decided of each example, in the order of the shards."""
        return _table(self._own(self.manifest(digest), INDEX))

    def shard(self, shard: Shard) -> pa.Table:
        """What a shard holds. Raises Unrecoverable(DATASET_CORRUPT)."""
        return _table(self._bytes(shard))

    def write_golden(self, cases: Sequence[GoldenCase]) -> tuple[str, str]:
        """Freeze a golden set; its digest and where it lies."""
        return golden.write_golden(self.objects, cases)

    def golden(self, digest: str) -> list[GoldenCase]:
        """The cases of a golden set, checked against its digest."""
        return golden.read_golden(self.objects, digest)

    def _mended(self, manifest: Manifest, tables: Mapping[str, pa.Table]) -> Manifest:
        """The dataset as it was sealed, with files of the new seal in the place of those that are damaged."""
        known = self.manifest(manifest.digest)
        damaged = {
            name: table
            for name, table in tables.items()
            if not self._whole(f"datasets/{known.digest}/{name}", known.files.get(name))
        }
        sound = known.shards == manifest.shards or all(
            self._whole(shard_key(shard), shard.file) for shard in known.shards
        )
        if sound and not damaged:
            return known
        if self.objects.exists(WITHDRAWING):  # perhaps of this very dataset
            raise _deleted_meanwhile(self.uri(known.digest))
        files = {**known.files, **self._put_tables(known.digest, damaged)}
        shards = known.shards if sound else manifest.shards
        mended = known.model_copy(update={"files": files, "shards": shards})
        if mended != known:  # another library wrote these files
            self._put_manifest(mended)
        return mended

    def _put_tables(self, digest: str, tables: Mapping[str, pa.Table]) -> dict[str, str]:
        """Write a dataset's own files; the SHA-256 of each."""
        files = {}
        for name, table in tables.items():
            data = _parquet(table)
            self.objects.put(f"datasets/{digest}/{name}", data)
            files[name] = sha256_hex(data)
        return files

    def _put_manifest(self, manifest: Manifest) -> None:
        text = canonical_json(manifest.model_dump(mode="json"))
        self.objects.put(f"datasets/{manifest.digest}/{MANIFEST}", text)

    def _has(self, shards: Sequence[Shard]) -> bool:
        return all(self.objects.exists(shard_key(shard)) for shard in shards)

    def _whole(self, key: str, digest: str | None) -> bool:
        """Whether an object is there, with this SHA-256."""
        return self.objects.exists(key) and sha256_hex(self.objects.get(key)) == digest

    def _own(self, manifest: Manifest, name: str) -> bytes:
        key = f"datasets/{manifest.digest}/{name}"
        data = self.objects.get(key)
        if sha256_hex(data) != manifest.files.get(name):
            raise Unrecoverable(Code.DATASET_CORRUPT, self.objects.uri(key))
        return data

    def _bytes(self, shard: Shard) -> bytes:
        data = self.objects.get(shard_key(shard))
        if sha256_hex(data) != shard.file:
            raise Unrecoverable(Code.DATASET_CORRUPT, self.objects.uri(shard_key(shard)))
        return data


def shard_key(shard: Shard) -> str:
    """The object that a shard lies in."""
    return f"shards/{shard.file}.parquet"


def _deleted_meanwhile(uri: str) -> NotReady:
    remedy = "seal again, after: lorikeet datasets erase"
    return NotReady(Code.LEDGER_REWRITTEN, f"{uri}: its shards are being deleted", remedy=remedy)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _table(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))
