"""Whether a sealed dataset is what its manifest says, and keeps apart what must be apart."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from schemas.datasets import Example, GoldenCase, Manifest, Pair, Shard, ShardKind, Split
from schemas.digests import digest_of, sha256_hex
from schemas.errors import LorikeetError
from stores.datasets.columns import to_example, to_pair
from stores.datasets.spill import content_digest
from stores.datasets.store import FATES, INDEX, DatasetStore, shard_key

Say = Callable[[str, int, int], None]


class VerifyDataset:
    """Reads every byte of a dataset again."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def __call__(self, digest: str, say: Say = lambda *_: None) -> dict[str, Any]:
        """The findings; `faults` is empty, and `crossing` and `golden` count nothing, where all is well.

        `faults` are lines on what does not agree with the manifest, shard by shard, then as a whole;
        `crossing` counts the values in more than one part by fact, `golden` what is in the golden set too; a fact
        of which none was found though not all could be read is None. Near duplicates are not searched for again.
        """
        manifest = self._store.manifest(digest)
        reading = _Reading(self._store, manifest, digest)
        for number, shard in enumerate(manifest.shards):
            reading.read(shard)
            say("Shards", number + 1, len(manifest.shards))
        reading.compare()
        cases = reading.golden()
        return {
            "dataset": digest,
            "shards": len(manifest.shards),
            "examples": len(reading.digests[ShardKind.EXAMPLES]),
            "pairs": len(reading.digests[ShardKind.PAIRS]),
            "faults": reading.faults,
            "crossing": _checked(crossing(reading.lines), whole=reading.whole),
            "golden": _checked(
                golden_inside(reading.lines, cases or ()),
                whole=reading.whole and cases is not None,
            ),
        }


class _Reading:
    """What a dataset's files hold, and what is wrong with them."""

    def __init__(self, store: DatasetStore, manifest: Manifest, digest: str) -> None:
        self._store, self._manifest, self._digest = store, manifest, digest
        self._batches: list[pa.RecordBatch] = []
        self._counts: dict[ShardKind, Counter[str]] = {kind: Counter() for kind in ShardKind}
        self.faults: list[str] = []
        self.whole = True
        """Whether every example and every pair could be read so far."""
        self.digests: dict[ShardKind, list[bytes]] = {kind: [] for kind in ShardKind}
        self._table(f"datasets/{digest}/{FATES}", FATES, manifest.files.get(FATES))
        index = self._table(f"datasets/{digest}/{INDEX}", INDEX, manifest.files.get(INDEX))
        self._decided = iter(() if index is None else index.to_pylist())

    @property
    def lines(self) -> pa.Table:
        """The facts of all that could be read."""
        return pa.Table.from_batches(self._batches, SCHEMA)

    def read(self, shard: Shard) -> None:
        """Read one; what is wrong with it is a fault."""
        self.whole = self._understood(shard) and self.whole

    def _understood(self, shard: Shard) -> bool:
        table = self._table(shard_key(shard), shard.name, shard.file)
        if table is None:
            return False
        records = table.to_pylist()
        if len(records) != shard.rows:
            self.faults.append(f"{shard.name}: {len(records):,} rows, not {shard.rows:,}")
        if content_digest([_bytes_of(record) for record in records]) != shard.content:
            self.faults.append(f"{shard.name}: its rows have another digest than the manifest says")
        try:
            items = [self._item(record, shard) for record in records]
        except (ValueError, TypeError, KeyError) as error:
            self.faults.append(f"{shard.name} is not understood: {error}")
            return False
        except StopIteration:
            self.faults.append(f"{shard.name}: {INDEX} ends before it")
            return False
        self.digests[shard.kind] += [_bytes_of(item.content()) for item in items]
        self._counts[shard.kind].update(str(item.split) for item in items)
        facts = [line for item in items for line in _facts(item)]
        self._batches.append(pa.RecordBatch.from_pylist(facts, schema=SCHEMA))
        return True

    def compare(self) -> None:
        """What was read, as a whole, with the manifest."""
        manifest = self._manifest
        stated = {ShardKind.EXAMPLES: manifest.counts, ShardKind.PAIRS: manifest.pairs}
        for kind, counts in stated.items():
            found = self._counts[kind]
            if any(found[split] != counts.get(split, 0) for split in Split):
                self.faults.append(
                    f"{kind} by split: {_said(found)}; the manifest says {_said(counts)}"
                )
        if next(self._decided, None) is not None:
            self.faults.append(f"{INDEX} has more lines than there are examples")
        contents = [
            content_digest(self.digests[kind]) for kind in (ShardKind.EXAMPLES, ShardKind.PAIRS)
        ]
        whole = dataset_digest(manifest.recipe, manifest.golden, *contents)
        if not whole == manifest.digest == self._digest:
            self.faults.append(f"its content has the digest {whole}, not {self._digest}")

    def golden(self) -> list[GoldenCase] | None:
        """The cases that must not be in it; None if they cannot be read."""
        if self._manifest.golden is None:
            return []
        try:
            return self._store.golden(self._manifest.golden)
        except LorikeetError as error:
            self.faults.append(f"golden set: {error.what}")
            return None

    def _table(self, key: str, name: str, digest: str | None) -> pa.Table | None:
        try:
            data = self._store.objects.get(key)
            table = pq.read_table(io.BytesIO(data))
        except LorikeetError as error:
            self.faults.append(f"{name}: {error.what}")
            return None
        except (pa.ArrowException, OSError) as error:
            self.faults.append(f"{name} cannot be read: {str(error).splitlines()[0]}")
            return None
        if sha256_hex(data) != digest:
            self.faults.append(f"{name}: the file has another SHA-256 than the manifest says")
        return table

    def _item(self, record: Mapping[str, Any], shard: Shard) -> Example | Pair:
        if shard.kind is ShardKind.EXAMPLES:
            return to_example(record, next(self._decided))
        if shard.split is None:
            raise ValueError("a shard of pairs without a split")
        return to_pair(record, shard.split)


def _bytes_of(content: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(digest_of(content))


def _facts(item: Example | Pair) -> Iterator[Line]:
    return example_lines(item) if isinstance(item, Example) else pair_lines(item)


def _checked(found: Mapping[str, int], *, whole: bool) -> dict[str, int | None]:
    """What was found; none found in a part says nothing of the whole."""
    return {fact: count if count or whole else None for fact, count in found.items()}


def _said(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(split, 0):,} {split}" for split in map(str, Split))
