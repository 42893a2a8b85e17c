"""What is different between two sealed datasets, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from processors.drift.shift import shift
from schemas.datasets import Example, Manifest, ShardKind
from schemas.digests import digest_of
from stores.datasets.store import DatasetStore

ABSENT, ACCEPTED = "not in the window", "accepted"


class _Content(NamedTuple):
    """Digests: of what is learned, and of everything."""

    learned: str
    split: str
    whole: str


class CompareDatasets:
    """Reads the examples of the shards that only one of two datasets has, and both tables of fates."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def __call__(self, before: str, after: str) -> dict[str, Any]:
        """Row ids in order, and why they are what they are.

        Of the examples that both have, `changed` have another text, tools or label, `moved` are in another
        split, and `reweighed` differ in nothing but weight, score, level and the like: what depends on the window.
        `moves` counts the candidates whose fate is another one, by both. `recipe`, `counts`, `pairs`,
        `offsets` and `other` hold what differs as [before, after]; `drift` is from the statistics.
        """
        old, new = self._store.manifest(before), self._store.manifest(after)
        shared = {s.content for s in old.shards} & {s.content for s in new.shards}
        were, are = self._contents(old, shared), self._contents(new, shared)
        return {
            "before": before,
            "after": after,
            "added": sorted(are.keys() - were.keys()),
            "removed": sorted(were.keys() - are.keys()),
            **_changes(were, are),
            "moves": _moves(self._store.fates(before), self._store.fates(after)),
            "recipe": _differing(old.recipe.model_dump(mode="json"), new.recipe.model_dump(mode="json")),
            "counts": _differing(old.counts, new.counts),
            "pairs": _differing(old.pairs, new.pairs),
            "offsets": _differing(old.offsets, new.offsets),
            "other": _differing(_rest(old), _rest(new)),
            "drift": shift(new.statistics, old.statistics),
        }

    def _contents(self, manifest: Manifest, shared: set[str]) -> dict[str, _Content]:
        """What each example holds, by its row; not of those in shards that both have."""
        return {
            example.row_id: _content(example)
            for shard in manifest.shards
            if shard.kind is ShardKind.EXAMPLES and shard.content not in shared
            for example in self._store.shard_examples(shard)
        }


def _content(example: Example) -> _Content:
    learned = digest_of([example.messages, example.tools, example.label_row])
    return _Content(learned, str(example.split), digest_of(example.content()))


def _changes(were: Mapping[str, _Content], are: Mapping[str, _Content]) -> dict[str, list[str]]:
    both = [(row, were[row], are[row]) for row in sorted(were.keys() & are.keys())]
    return {
        "changed": [row for row, old, new in both if old.learned != new.learned],
        "moved": [row for row, old, new in both if old.split != new.split],
        "reweighed": [
            row for row, old, new in both if old[:2] == new[:2] and old.whole != new.whole
        ],
    }


def _rest(manifest: Manifest) -> dict[str, Any]:
    names = ("tenant", "model", "version", "golden", "erased", "libraries")
    return {name: getattr(manifest, name) for name in names}


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def _moves(before: pa.Table, after: pa.Table) -> list[dict[str, Any]]:
    joined = _fates(before, "before").join(_fates(after, "after"), "row_id", join_type="full outer")
    names = ("before", "after")
    table = pa.table({name: pc.fill_null(joined[name], ABSENT) for name in names})
    table = table.filter(pc.not_equal(table["before"], table["after"]))
    rows = table.group_by(names).aggregate([([], "count_all")]).to_pylist()
    moves = [{"before": r["before"], "after": r["after"], "rows": r["count_all"]} for r in rows]
    return sorted(moves, key=lambda move: (-move["rows"], move["before"], move["after"]))


def _fates(table: pa.Table, name: str) -> pa.Table:
    reasons = table["reason"].cast(pa.string())
    said = pc.if_else(pc.equal(reasons, ""), ACCEPTED, reasons)
    return pa.table({"row_id": table["row_id"].cast(pa.string()), name: said})
