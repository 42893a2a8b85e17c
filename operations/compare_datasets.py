"""What is different between two sealed datasets, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from processors.drift.shift import shift
from schemas.datasets import Manifest, ShardKind
from schemas.digests import digest_of
from stores.datasets.store import DatasetStore

ABSENT, ACCEPTED = "not read", "accepted"
_LEARNED = ("messages", "tools", "label_row")


class _Line(NamedTuple):
    """What was decided of an example."""

    split: str
    rest: str
    """A digest over weight, scores, domain, level and cluster."""


class CompareDatasets:
    """Reads both indices and tables of fates, and of the shards those that only one of the two has."""

    def __init__(self, store: DatasetStore) -> None:
        self._store = store

    def __call__(self, before: str, after: str) -> dict[str, Any]:
        """Row ids in order, and why they are what they are.

        Of the examples that both have, `changed` have another text, tools or label, `moved` are in another
        split, and `reweighed` differ in nothing but weight, score, level and the like: what depends on the window.
        `fates` counts the candidates whose fate is another one, by both. `recipe`, `counts`, `pairs`,
        `offsets` and `other` hold what differs as [before, after]; `drift` is from the statistics.
        """
        old, new = self._store.manifest(before), self._store.manifest(after)
        were, are = self._lines(before), self._lines(after)
        changed = self._changed(old, new)
        both = sorted(were.keys() & are.keys())
        moved = [row for row in both if were[row].split != are[row].split]
        told = changed.union(moved)
        recipes = (each.recipe.model_dump(mode="json") for each in (old, new))
        return {
            "before": before,
            "after": after,
            "added": sorted(are.keys() - were.keys()),
            "removed": sorted(were.keys() - are.keys()),
            "changed": [row for row in both if row in changed],
            "moved": moved,
            "reweighed": [row for row in both if row not in told and were[row] != are[row]],
            "fates": _fates(self._store.fates(before), self._store.fates(after)),
            "recipe": _differing(*recipes),
            "counts": _differing(old.counts, new.counts),
            "pairs": _differing(old.pairs, new.pairs),
            "offsets": _differing(old.offsets, new.offsets),
            "other": _differing(_rest(old), _rest(new)),
            "drift": shift(new.statistics, old.statistics),
        }

    def _lines(self, digest: str) -> dict[str, _Line]:
        found = {}
        for line in self._store.index(digest).to_pylist():
            row, split = line.pop("row_id"), line.pop("split")
            found[row] = _Line(split, digest_of(line))
        return found

    def _changed(self, old: Manifest, new: Manifest) -> set[str]:
        """Rows of both whose text differs; those in a shard that both have do not."""
        shared = {s.content for s in old.shards} & {s.content for s in new.shards}
        were, are = self._learned(old, shared), self._learned(new, shared)
        return {row for row in were.keys() & are.keys() if were[row] != are[row]}

    def _learned(self, manifest: Manifest, shared: set[str]) -> dict[str, str]:
        return {
            record["row_id"]: digest_of([record[name] for name in _LEARNED])
            for shard in manifest.shards
            if shard.kind is ShardKind.EXAMPLES and shard.content not in shared
            for record in self._store.shard(shard).select(["row_id", *_LEARNED]).to_pylist()
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


def _fates(before: pa.Table, after: pa.Table) -> list[dict[str, Any]]:
    joined = _said(before, "before").join(_said(after, "after"), "row_id", join_type="full outer")
    names = ("before", "after")
    table = pa.table({name: pc.fill_null(joined[name], ABSENT) for name in names})
    table = table.filter(pc.not_equal(table["before"], table["after"]))
    rows = table.group_by(names).aggregate([([], "count_all")]).to_pylist()
    found = [{"before": r["before"], "after": r["after"], "rows": r["count_all"]} for r in rows]
    return sorted(found, key=lambda each: (-each["rows"], each["before"], each["after"]))


def _said(table: pa.Table, name: str) -> pa.Table:
    reasons = table["reason"].cast(pa.string())
    said = pc.if_else(pc.equal(reasons, ""), ACCEPTED, reasons)
    return pa.table({"row_id": table["row_id"].cast(pa.string()), name: said})
