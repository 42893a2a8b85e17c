"""The one place that knows everything: settings in, working operations out."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from consumers.assignment import Bounds
from consumers.dead_letters import DeadLetters
from consumers.ingest import IngestLoop
from consumers.kafka import KafkaPublishedEvents, input_topics
from launchers.local import LocalLauncher
from operations.add_golden import AddGolden
from operations.advance_rollout import AdvanceRollout
from operations.approve_rollout import ApproveRollout
from operations.consider_training import ConsiderTraining
from operations.converge_gateways import ConvergeGateways
from operations.count_ledger import CountLedger
from operations.erasing.certificates import Certificates
from operations.erasing.erase import Erase
from operations.fetch_adapter import FetchAdapter
from operations.ingest_batch import IngestBatch
from operations.known_erasures import KnownErasures
from operations.maintain_ledger import MaintainLedger
from operations.register_adapter import RegisterAdapter
from operations.relay_outbox import RelayOutbox
from operations.request_training import RequestTraining
from operations.review_queue import ReviewQueue
from operations.roll_back import RollBack
from operations.run_attempt import RunAttempt
from operations.run_job import RunJob, Steps
from operations.seal_dataset import SealDataset
from operations.stop_partitions import StopPartitions
from operations.train_domains import TrainDomains
from operations.validate_adapter import ValidateAdapter
from processors.curation.policy import CurationPolicy
from producers.connection import KafkaConnection
from producers.kafka import ExclusiveKafkaProducer, KafkaProducer
from schemas.digests import digest_of
from schemas.telemetry import Meter
from service.settings import Settings
from serving.vllm import VllmGateway
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer, secret_key
from stores.control.database import Database, sqlite_url
from stores.datasets.store import DatasetStore
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter
from stores.ledger.hold import share
from stores.ledger.local import LocalPlace
from stores.ledger.place import Place
from stores.ledger.s3 import S3Place

T = TypeVar("T")


def clock() -> datetime:
    """The time, UTC. Passed to operations; nothing below reads it itself."""
    return datetime.now(UTC)


class DatabaseThread:
    """One thread for all blocking work of an async process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="operations")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Run blocking work; one thing at a time, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


class Wiring:
    """Builds each part once, when it is first asked for."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        """Check that the data folder can be written before anything is built."""
        settings.places.check()
        self.settings = settings
        self.meter = meter
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.thread = DatabaseThread()
        self.maintenance = DatabaseThread()

    @property
    def bootstrap(self) -> str:
        """The broker's address. Raises Unrecoverable(NO_BROKER) if none is configured."""
        return self.kafka.bootstrap

    @cached_property
    def kafka(self) -> KafkaConnection:
        """The Kafka cluster. Raises Unrecoverable(NO_BROKER) if none is configured."""
        return KafkaConnection.of(self.settings.kafka)

    @cached_property
    def database(self) -> Database:
        """The control database, migrated."""
        return Database(sqlite_url(self.settings.places.database))

    @cached_property
    def ledger_place(self) -> Place:
        """Where the ledger lies. Raises Unrecoverable(STORE_NOT_ATOMIC) for a store that loses commits."""
        found = self.settings.ledger
        if not found.uri:
            return LocalPlace(self.settings.places.ledger)
        place = S3Place(found.uri, found.endpoint, found.region, allow_http=found.allow_http)
        place.check()
        return place

    @cached_property
    def ledger(self) -> DeltaLedgerReader:
        """The ledger, for reading."""
        return DeltaLedgerReader(self.ledger_place)

    @cached_property
    def objects(self) -> ObjectFolder:
        """Datasets, adapters, reports."""
        return ObjectFolder(self.settings.places.objects)

    @cached_property
    def datasets(self) -> DatasetStore:
        """Sealed datasets and golden sets."""
        return DatasetStore(self.objects)

    @cached_property
    def curation(self) -> CurationPolicy:
        """What ingest's decisions depend on, this installation's key included."""
        return self.settings.curation.policy(secret_key(self.settings.places.keys / "hmac.key"))

    @cached_property
    def signer(self) -> Signer:
        """The installation's signing key."""
        return Signer(self.settings.places.keys)

    @cached_property
    def count_ledger(self) -> CountLedger:
        """Advance the counters."""
        return CountLedger(self.database, self.ledger, self.meter)

    @cached_property
    def maintain_ledger(self) -> MaintainLedger:
        """Compaction, retention, vacuum."""
        return MaintainLedger(
            self.ledger_place,
            self.database,
            self.count_ledger,
            self.settings.ledger,
            self.owner,
            self.meter,
        )

    @cached_property
    def consider_training(self) -> ConsiderTraining:
        """Compare windows with thresholds."""
        return ConsiderTraining(self.database, self.meter)

    @cached_property
    def request_training(self) -> RequestTraining:
        """A person asks for a job."""
        return RequestTraining(self.database)

    @cached_property
    def seal_dataset(self) -> SealDataset:
        """Seal a window."""
        return SealDataset(
            self.database,
            self.ledger_place,
            self.datasets,
            self.meter,
            self.settings.places.scratch,
        )

    @cached_property
    def review_queue(self) -> ReviewQueue:
        """What waits for a person."""
        return ReviewQueue(self.ledger_place, self.database, self.datasets)

    @cached_property
    def add_golden(self) -> AddGolden:
        """Make golden sets."""
        return AddGolden(self.database, self.ledger_place, self.datasets, self.curation)

    @cached_property
    def erase(self) -> Erase:
        """Take a subject's data back."""
        from service.erasure import build_erase  # noqa: PLC0415 - it knows this class

        return build_erase(self)

    @cached_property
    def certificates(self) -> Certificates:
        """What was taken back, signed."""
        return Certificates(self.objects, self.signer)

    @cached_property
    def train_domains(self) -> TrainDomains:
        """Fit a domain model."""
        return TrainDomains(self.ledger_place, self.objects)

    @cached_property
    def advance_rollout(self) -> AdvanceRollout:
        """A roll-out's tick."""
        return AdvanceRollout(self.database, self.meter)

    @cached_property
    def approve_rollout(self) -> ApproveRollout:
        """Start or promote, by hand."""
        return ApproveRollout(self.database)

    @cached_property
    def roll_back(self) -> RollBack:
        """Stop or return, by hand."""
        return RollBack(self.database, self.meter)

    @cached_property
    def fetch_adapter(self) -> FetchAdapter:
        """Bring registered adapters to this machine."""
        return FetchAdapter(self.objects, self.signer, self.settings.places.serving)

    @cached_property
    def converge_gateways(self) -> ConvergeGateways:
        """Bring gateways to the desired state."""
        return ConvergeGateways(
            self.database, self.fetch_adapter, VllmGateway, self.owner, self.meter
        )

    @cached_property
    def run_job(self) -> RunJob:
        """Take a training job to its end."""
        run = RunAttempt(LocalLauncher(threads=self.settings.worker.threads), self.meter)
        steps = Steps(
            self.seal_dataset,
            run,
            ValidateAdapter(run),
            RegisterAdapter(self.objects, self.signer),
        )
        return RunJob(
            self.database,
            self.datasets,
            self.fetch_adapter,
            steps,
            self.settings.places.jobs,
            self.owner,
            clock,
            self.meter,
        )

    def relay_outbox(self, producer: ExclusiveKafkaProducer) -> RelayOutbox:
        """Publish the outbox."""
        return RelayOutbox(
            self.database,
            producer,
            KafkaPublishedEvents(self.kafka),
            self.thread,
            self.owner,
            self.settings.kafka.prefix,
            self.meter,
        )

    def ingest_batch(self, cluster: str, ledger: Path | None = None) -> IngestBatch:
        """Ingest's decisions and commits; into another ledger, if one is named."""
        place = LocalPlace(ledger) if ledger else self.ledger_place
        return IngestBatch(
            DeltaLedgerWriter(place, cluster),
            DeltaLedgerReader(place),
            cluster,
            self.curation,
            self.meter,
            KnownErasures(self.database),
        )

    def dead_letters(self, producer: KafkaProducer) -> DeadLetters:
        """Where what cannot be read goes."""
        return DeadLetters(
            producer, self.settings.kafka.prefix, self.objects, self.settings.curation.limits
        )

    def ingest_loop(
        self,
        cluster: str,
        producer: KafkaProducer,
        bounds: Bounds | None = None,
        ledger: Path | None = None,
    ) -> IngestLoop:
        """The consumer that drives ingest. Into another ledger it reads in a group of its own.

        Raises NotReady(LEDGER_IN_USE) while the ledger is rebuilt.
        """
        self._held = share(ledger or self.ledger_place)
        prefix, settings = self.settings.kafka.prefix, self.settings.ingest
        name = digest_of(str(ledger.resolve()))[:8] if ledger else ""
        group = f"{prefix}{settings.group}" + (f"-{name}" if name else "")
        settings = settings.model_copy(update={"group": group})
        return IngestLoop(
            self.kafka,
            input_topics(prefix),
            settings,
            self.ingest_batch(cluster, ledger),
            None if ledger else self.dead_letters(producer),
            StopPartitions(self.database, name),
            self.meter,
            bounds=bounds,
        )

    def models(self) -> dict[tuple[str, str], Any]:
        """The configured models by (tenant, name)."""
        return {(model.tenant, model.name): model for model in self.settings.models}
