"""Whether a sealed dataset is what its manifest says, and keeps apart what must be apart."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from processors.curation.seal.identity import dataset_digest
from processors.curation.seal.leaks import (
    SCHEMA,
    Line,
    crossing,
    example_lines,
    golden_inside,
    pair_lines,
)
from schemas.datasets import Example, Manifest, Pair, Shard, ShardKind, Split
from schemas.digests import digest_of, sha256_hex
from schemas.errors import LorikeetError
from stores.datasets.columns import to_example, to_pair
from stores.datasets.spill import content_digest
from stores.datasets.store import DatasetStore, shard_key


class VerifyDataset:
    """Reads every byte of a dataset again."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def __call__(self, digest: str, say: Callable[[str, int, int], None] = lambda *_: None) -> dict[str, Any]:
        """The findings; `faults` is empty, and `crossing` and `golden` count nothing, where all is well.

        `faults` are lines on what does not agree with the manifest, shard by shard, then as a whole;
        `crossing` counts the values in more than one part by fact, `golden` what is in the golden set too. Near
        duplicates are not searched for again.
        """
        manifest = self._store.manifest(digest)
        reading = _Reading(self._store)
        for number, shard in enumerate(manifest.shards):
            reading.read(shard)
            say("Shards", number + 1, len(manifest.shards))
        lines = reading.lines()
        faults = [*reading.faults, *_whole(manifest, digest, reading)]
        cases = []
        if manifest.golden is not None:
            try:
                cases = self._store.golden(manifest.golden)
            except LorikeetError as error:
                faults.append(f"golden set {manifest.golden}: {error.what}")
        return {
            "dataset": digest,
            "shards": len(manifest.shards),
            "examples": len(reading.digests[ShardKind.EXAMPLES]),
            "pairs": len(reading.digests[ShardKind.PAIRS]),
            "faults": faults,
            "crossing": crossing(lines),
            "golden": golden_inside(lines, cases),
        }


class _Reading:
    """What the shards hold: content digests, facts, counts, and what is wrong with each."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store
        self._batches: list[pa.RecordBatch] = []
        self.faults: list[str] = []
        self.digests: dict[ShardKind, list[bytes]] = {kind: [] for kind in ShardKind}
        self.counts = {kind: dict.fromkeys(map(str, Split), 0) for kind in ShardKind}

    def read(self, shard: Shard) -> None:
        """Read one; one that cannot be read is a fault."""
        try:
            data = self._store.objects.get(shard_key(shard))
            items = list(_items(data, shard))
        except LorikeetError as error:
            self.faults.append(f"{shard.name}: {error.what}")
            return
        except (pa.ArrowException, ValueError, TypeError) as error:
            self.faults.append(f"{shard.name} cannot be read: {str(error).splitlines()[0]}")
            return
        digests = [bytes.fromhex(digest_of(item.content())) for item in items]
        if sha256_hex(data) != shard.file:
            self.faults.append(f"{shard.name}: its file has another SHA-256 than the manifest says")
        if len(items) != shard.rows:
            self.faults.append(f"{shard.name}: {len(items):,} rows, not {shard.rows:,}")
        if content_digest(digests) != shard.content:
            self.faults.append(f"{shard.name}: its rows have another digest than the manifest says")
        self.digests[shard.kind] += digests
        self.counts[shard.kind][str(shard.split)] += len(items)
        self._batches.append(
            pa.RecordBatch.from_pylist([line for i in items for line in _facts(i)], schema=SCHEMA)
        )

    def lines(self) -> pa.Table:
        """The facts of all that could be read."""
        return pa.Table.from_batches(self._batches, SCHEMA)


def _items(data: bytes, shard: Shard) -> Iterator[Example | Pair]:
    decode = to_example if shard.kind is ShardKind.EXAMPLES else to_pair
    for record in pq.read_table(io.BytesIO(data)).to_pylist():
        yield decode(record, shard.split)


def _facts(item: Example | Pair) -> Iterator[Line]:
    return example_lines(item) if isinstance(item, Example) else pair_lines(item)


def _whole(manifest: Manifest, digest: str, reading: _Reading) -> Iterator[str]:
    stated = {ShardKind.EXAMPLES: manifest.counts, ShardKind.PAIRS: manifest.pairs}
    for kind, counts in stated.items():
        found = reading.counts[kind]
        if found != {**dict.fromkeys(map(str, Split), 0), **counts}:
            yield f"{kind} by split: {_said(found)}; the manifest says {_said(counts)}"
    contents = [
        content_digest(reading.digests[kind]) for kind in (ShardKind.EXAMPLES, ShardKind.PAIRS)
    ]
    found_digest = dataset_digest(manifest.recipe, manifest.golden, *contents)
    if not found_digest == manifest.digest == digest:
        yield f"the dataset's digest is {found_digest}; its manifest says {manifest.digest}"


def _said(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {split}" for split, count in counts.items())
