"""An installation with people in its ledger, for tests of taking their data back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from operations.count_ledger import CountLedger
from operations.erasing.adapters import QuarantineAdapters
from operations.erasing.certificates import Certificates
from operations.erasing.datasets import EraseDatasets
from operations.erasing.erase import Erase, Steps, Surroundings
from operations.erasing.rows import EmptyRows
from operations.ingest_batch import IngestBatch
from operations.known_erasures import KnownErasures
from operations.seal_dataset import SealDataset
from operations.settings import ModelSettings
from processors.curation.policy import CurationPolicy
from processors.curation.pseudonyms import Pseudonyms
from processors.curation.subjects import subject_of
from schemas.datasets import Manifest, Recipe
from schemas.erasures import Erasure, ErasureKind
from schemas.records import Record, TopicPartition
from schemas.rows import Row
from schemas.telemetry import NoMeter
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer
from stores.control import counters
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.local import LocalPlace
from stores.ledger.place import Fault, no_fault
from tests.installation import NOW, database
from tests.support import event, execution, record

POLICY = CurationPolicy(hmac_key=b"key")
RECIPE = Recipe(min_examples=10, golden_size=0, require_tools=True, window_days=3650)
RUNS, FEEDBACK, TELEMETRY = "execution.completed", "feedback.received", "telemetry.sampled"
WORDS = [
    "lyon",
    "oslo",
    "rome",
    "bern",
    "cairo",
    "lima",
    "delhi",
    "quito",
    "accra",
    "dakar",
    "minsk",
    "sofia",
    "tunis",
    "hanoi",
]


def run(number: int, user: str, **changes: Any) -> dict[str, Any]:
    """A run of one user, unlike the others."""
    said = " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 3, 5, 9, 11))
    text = f"please find the train number {number} from {said} for {user}'s trip {number * 7919}"
    data = execution(
        execution_id=f"run-{number}",
        user_id=user,
        session_id=f"{user}-{number // 2}",
        task={"prompt": text, "id": f"task-{number}"},
    )
    data["messages"][0]["content"] = text
    data["messages"][1]["tool_calls"][0]["arguments"] = {"to": f"{said} {number}"}
    return {**data, **changes}


class Installed:
    """Ledger, control database, objects, and what takes data back; `fault` ends it between steps."""

    def __init__(self, folder: Path, model: ModelSettings | None = None) -> None:
        self.folder = folder
        self.place = LocalPlace(folder / "ledger")
        self.store = database(folder)
        self.objects = ObjectFolder(f"file://{folder / 'objects'}")
        self.datasets = DatasetStore(self.objects)
        self.count = CountLedger(self.store, DeltaLedgerReader(self.place), NoMeter())
        self.seal = SealDataset(self.store, self.place, self.datasets, NoMeter())
        self.certificates = Certificates(self.objects, Signer(folder / "keys"))
        self.model = model or ModelSettings(name="m")
        self.known = KnownErasures(self.store)
        self._offsets: Counter[TopicPartition] = Counter()
        self.sent: list[Record] = []

    def ingest(self, *events: dict[str, Any], partition: int = 0) -> None:
        """Events as the ledger gets them from Kafka, in one commit."""
        batch = self.batch()
        records = [self._record(body, partition) for body in events]
        self.sent += records
        self.commit(batch, records)

    def batch(self, place: LocalPlace | None = None) -> IngestBatch:
        """Ingest's path into a ledger; this one, if none is named."""
        place = place or self.place
        writer, reader = DeltaLedgerWriter(place, "c"), DeltaLedgerReader(place)
        batch = IngestBatch(writer, reader, "c", POLICY, NoMeter(), KnownErasures(self.store))
        batch.claim([TopicPartition(t, p) for t in (RUNS, FEEDBACK, TELEMETRY) for p in (0, 1)])
        return batch

    @staticmethod
    def commit(batch: IngestBatch, records: Iterable[Record]) -> None:
        """Decide and commit records of any partitions."""
        rows: list[Row] = []
        offsets: dict[TopicPartition, int] = {}
        grouped: dict[TopicPartition, list[Record]] = {}
        for one in records:
            grouped.setdefault(one.topic_partition, []).append(one)
        for tp, found in grouped.items():
            rows += batch.decide(found)
            offsets[tp] = found[-1].offset + 1
        batch.commit(rows, offsets)

    def _record(self, body: dict[str, Any], partition: int) -> Record:
        tp = TopicPartition(body["type"], partition)
        offset = self._offsets[tp]
        self._offsets[tp] += 1
        return record(body, offset=offset, partition=partition, topic=body["type"])

    def erase(self, fault: Fault = no_fault) -> Erase:
        """What takes data back, in a process of its own."""
        steps = Steps(
            EmptyRows(self.place, self.store, self.count, "me", fault),
            EraseDatasets(
                self.store, self.place, self.datasets, self.seal, self.folder / "jobs", fault
            ),
            QuarantineAdapters(
                self.store, {(self.model.tenant, self.model.name): self.model}, fault
            ),
        )
        around = Surroundings(["execution.completed"], "lorikeet.dead-letter", list)
        return Erase(
            self.store,
            steps,
            self.objects,
            self.certificates,
            Pseudonyms(POLICY.hmac_key),
            around,
            "me",
            fault,
        )

    def take_back(
        self,
        subject: str,
        kind: ErasureKind = ErasureKind.ERASURE,
        fault: Fault = no_fault,
        clock: Callable[[], datetime] = lambda: NOW,
    ) -> Erasure:
        """Ask and carry out; the erasure as it then is."""
        erase = self.erase(fault)
        named = subject_of(subject, "default", POLICY)
        name = erase.ask(
            "default", named, NOW, kind=kind, reason="asked by letter", requested_by="user:dpo"
        )
        (found,) = [one for one in erase(clock, name) if one.id == name]
        return found

    def certificate(self, found: Erasure) -> dict[str, Any]:
        """The certificate as JSON, its signature checked."""
        assert found.certificate is not None
        return self.certificates.read(found.certificate)[0]

    def rows(self, place: LocalPlace | None = None) -> list[Row]:
        """The ledger's rows in order."""
        found = DeltaLedgerReader(place or self.place).rows()
        return sorted(found, key=lambda r: (r.topic, r.partition, r.offset))

    def sealed(self, recipe: Recipe = RECIPE) -> Manifest:
        """A dataset of all that the ledger holds now."""
        self.count()
        offsets = self.store.read(counters.offsets)
        return self.seal("default", "m", recipe, offsets, NOW)

    def bytes_on_disk(self, *needles: str) -> list[str]:
        """Files below the folder that hold one of these texts, uncompressed Parquet looked through."""
        import pyarrow.parquet as pq

        found = []
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            if path.suffix == ".parquet" and "_delta_log" not in path.parts:
                text = json.dumps(pq.read_table(path).to_pylist(), default=str)
            else:
                text = path.read_bytes().decode(errors="replace")
            if any(needle in text for needle in needles):
                found.append(path.relative_to(self.folder).as_posix())
        return found


def runs(count: int, users: int = 10, **changes: Any) -> list[dict[str, Any]]:
    """Runs of so many users as events."""
    return [
        event(RUNS, run(number, f"user{number % users}", **changes), id=f"event-{number}")
        for number in range(count)
    ]
