"""Which golden cases a model has seen already: in the training split of a dataset that was sealed for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from processors.curation.golden_overlap import resembling
from processors.curation.seal.conversation import asked
from processors.curation.seal.shingles import fold
from schemas.datasets import GoldenCase, Manifest, ShardKind, Split
from stores.datasets.store import DatasetStore

_COLUMNS = ("row_id", "task", "prompt_digest", "messages")
_BATCH = 4_096
_NAMES = {
    "row_id": "it stands itself",
    "task": "its task stands",
    "prompt_digest": "its prompt stands",
}
Records = Sequence[Mapping[str, Any]]


class TrainedOn:
    """Looks through datasets; shards that they share are read once."""

    def __init__(self, datasets: DatasetStore) -> None:
        self._datasets = datasets

    def __call__(
        self, cases: Sequence[GoldenCase], digests: Sequence[str], threshold: float
    ) -> dict[str, str]:
        """By case id where a case was met first, such as `its task stands in the training split of 1.2.0`.

        `digests` are those of the model's datasets; `threshold` is the recipe's `near_duplicate`.
        """
        found: dict[str, str] = {}
        if cases:
            for version, records in self._records(digests):
                for case_id, how in _met(cases, records, threshold):
                    found.setdefault(case_id, f"{how} in the training split of {version}")
        return found

    def _records(self, digests: Sequence[str]) -> Iterator[tuple[str, Records]]:
        seen: set[str] = set()
        for manifest in map(self._datasets.manifest, digests):
            for shard in _training(manifest, seen):
                table = self._datasets.table(shard, _COLUMNS)
                for batch in table.to_batches(_BATCH):
                    yield manifest.version, batch.to_pylist()


def _training(manifest: Manifest, seen: set[str]) -> Iterator[Any]:
    for shard in manifest.shards:
        mine = shard.kind is ShardKind.EXAMPLES and shard.split is Split.TRAIN
        if mine and shard.file not in seen:
            seen.add(shard.file)
            yield shard


def _met(
    cases: Sequence[GoldenCase], records: Records, threshold: float
) -> Iterator[tuple[str, str]]:
    for name, how in _NAMES.items():
        known = {record[name] for record in records}
        for case in cases:
            mine = case.case_id if name == "row_id" else getattr(case, name)
            if mine in known:
                yield case.case_id, how
    prompts = sorted({fold(asked(json.loads(record["messages"]))) for record in records})
    for _, place in resembling(prompts, [fold(asked(case.messages)) for case in cases], threshold):
        yield cases[place].case_id, "one much like it stands"
