"""Datasets of stated examples and pairs, for tests that need no ledger and no seal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.datasets import Example, Manifest, Pair, Recipe, Shard, ShardKind, Split
from stores.datasets.columns import INDEX, SCHEMAS, to_columns
from stores.datasets.spill import Draft, Spill
from stores.datasets.store import DatasetStore

NO_FATES = pa.table({"row_id": pa.array([], pa.string())})


def example(number: int, split: Split = Split.TRAIN, **changes: Any) -> Example:
    """An example with a tool call whose arguments are not in the order of their names."""
    call = {"name": "f", "arguments": {"z": 1, "a": number}}
    facts: dict[str, Any] = {
        "row_id": f"c:t:0:{number}",
        "label_row": None,
        "split": split,
        "weight": 1.25,
        "messages": (
            {"role": "user", "content": f"question {number}"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
        ),
        "tools": ({"name": "f"},),
        "prompt_digest": "p",
        "task": f"t{number}",
        "session": None,
        "user": "u",
        "domain": "d",
        "task_type": None,
        "level": None,
        "kind": "run",
        "source": None,
        "origin": None,
        "trust": None,
        "adapter_digest": None,
        "score": 87.5,
        "quality": 90.0,
        "confidence": None,
        "diversity": None,
        "informativeness": None,
        "cluster": f"c:t:0:{number}",
    }
    return Example(**{**facts, **changes})


def pair(number: int, split: Split = Split.TRAIN, **changes: Any) -> Pair:
    """A pair of two answers to one question."""
    facts: dict[str, Any] = {
        "chosen_row": f"c:t:0:{number}",
        "rejected_row": f"c:t:1:{number}",
        "label_row": None,
        "split": split,
        "margin": 0.25,
        "messages": ({"role": "user", "content": f"question {number}"},),
        "chosen": ({"role": "assistant", "content": "right"},),
        "rejected": ({"role": "assistant", "content": "wrong"},),
        "tools": (),
    }
    return Pair(**{**facts, **changes})


def manifest(digest: str, shards: Iterable[Shard] = (), **changes: Any) -> Manifest:
    """A manifest that names shards."""
    facts: dict[str, Any] = {
        "digest": digest,
        "version": "1.0.0",
        "tenant": "default",
        "model": "m",
        "recipe": Recipe(),
        "offsets": {},
        "counts": {},
        "pairs": {},
        "dropped": {},
        "statistics": {},
        "golden": None,
        "erased": "",
        "shards": tuple(shards),
        "libraries": {},
    }
    return Manifest(**{**facts, **changes})


def drafts(found: Sequence[Example | Pair], block: int = 4) -> Iterator[Draft]:
    """Shards in the order of their rows: of `block` examples each, or of the pairs of a split."""
    with tempfile.TemporaryDirectory() as folder:
        kind = ShardKind.EXAMPLES if isinstance(found[0], Example) else ShardKind.PAIRS
        spill = Spill(Path(folder), SCHEMAS[kind])
        for place, one in enumerate(found):
            shard = str(one.split) if isinstance(one, Pair) else f"{place // block:08d}"
            spill.add(shard, place, to_columns(one.content(), kind))
        yield from spill.shards()


def index_of(examples: Sequence[Example]) -> pa.Table:
    """What was decided of them."""
    lines = [{name: example.content()[name] for name in INDEX.names} for example in examples]
    return pa.Table.from_pylist(lines, schema=INDEX)


def write(
    store: DatasetStore,
    digest: str,
    examples: Sequence[Example],
    pairs: Sequence[Pair] = (),
    known: Sequence[Shard] = (),
) -> Manifest:
    """Write a dataset under a digest of the caller's choice."""
    shards = []
    for number, draft in enumerate(drafts(examples)):
        name = f"examples-{number:05d}.parquet"
        shards.append(store.write_shard(draft, name, ShardKind.EXAMPLES, None, known))
    for draft in drafts(pairs) if pairs else ():
        name = f"pairs-{draft.name}-00000.parquet"
        split = Split(draft.name)
        shards.append(store.write_shard(draft, name, ShardKind.PAIRS, split, known))
    return store.write(manifest(digest, shards), index_of(examples), NO_FATES)
