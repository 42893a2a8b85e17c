"""Which golden cases a model has seen already: in the training split of a dataset that was sealed for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from processors.curation.golden_overlap import resembling
from processors.curation.seal.conversation import asked
from schemas.datasets import GoldenCase, Split
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
    """Looks through datasets; an example that several of them hold is looked at once."""

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
        """(version, examples of the training split), each example once."""
        seen: set[str] = set()
        for digest in digests:
            version = self._datasets.manifest(digest).version
            for table in self._datasets.tables(digest):
                trained = table.filter(pc.equal(table["split"], str(Split.TRAIN)))
                for batch in trained.select(_COLUMNS).to_batches(_BATCH):
                    fresh = [one for one in batch.to_pylist() if one["row_id"] not in seen]
                    seen.update(one["row_id"] for one in fresh)
                    yield version, fresh


def _met(
    cases: Sequence[GoldenCase], records: Records, threshold: float
) -> Iterator[tuple[str, str]]:
    for name, how in _NAMES.items():
        known = {record[name] for record in records}
        for case in cases:
            mine = case.case_id if name == "row_id" else getattr(case, name)
            if mine in known:
                yield case.case_id, how
    prompts = sorted({asked(json.loads(record["messages"])) for record in records})
    for _, place in resembling(prompts, [asked(case.messages) for case in cases], threshold):
        yield cases[place].case_id, "one much like it stands"
