"""Seals of rows in a real ledger, with a control database and a store beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

from operations.seal_dataset import SealDataset
from schemas.datasets import Manifest, Recipe
from schemas.records import TopicPartition
from schemas.rows import Row
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from tests.installation import database
from tests.ledgers import DAY
from tests.sealing import MODEL, TENANT
from tests.support import NOW

RUNS, OPINIONS = "execution.completed", "feedback.received"
PARTITIONS = [TopicPartition(topic, number) for topic in (RUNS, OPINIONS) for number in range(2)]


class Installed:
    """A ledger, a database and a store in one folder."""

    def __init__(self, folder: Path) -> None:
        self.ledger = folder / "ledger"
        self.database = database(folder)
        self.objects = ObjectFolder(f"file://{folder / 'objects'}")
        self.datasets = DatasetStore(self.objects)
        self.puts: Counter[str] = Counter()
        self.scratch = folder / "scratch"
        self._put, self.objects.put = self.objects.put, self._counted  # type: ignore[method-assign]
        self._seals = 0

    def append(self, rows: Iterable[Row]) -> dict[str, int]:
        """Add rows to the ledger; the offsets after them."""
        writer = DeltaLedgerWriter(self.ledger, "c", today=lambda: DAY)
        writer.claim(PARTITIONS)
        found = [row if row.model else row._replace(model=MODEL) for row in rows]
        ends: dict[TopicPartition, int] = {}
        for row in found:
            tp = TopicPartition(row.topic, row.partition)
            ends[tp] = max(ends.get(tp, 0), row.offset + 1)
        writer.append(found, ends)
        return self.offsets()

    def offsets(self) -> dict[str, int]:
        """Where the ledger is."""
        return dict(DeltaLedgerReader(self.ledger).offsets())

    def seal(
        self, offsets: Mapping[str, int] | None = None, *, model: str = MODEL, **recipe: object
    ) -> Manifest:
        """Seal what there is, each time a minute later; no golden set unless asked for."""
        self._seals += 1
        given = Recipe.model_validate({"golden_size": 0, "min_examples": 1, **recipe})
        operation = SealDataset(self.database, self.ledger, self.datasets, NoMeter(), self.scratch)
        now = NOW + timedelta(minutes=self._seals)
        return operation(TENANT, model, given, self.offsets() if offsets is None else offsets, now)

    def written(self) -> set[str]:
        """The shards written since last asked."""
        found = {key for key in self.puts if key.startswith("shards/")}
        self.puts.clear()
        return found

    def _counted(self, key: str, data: bytes) -> None:
        self.puts[key] += 1
        self._put(key, data)
