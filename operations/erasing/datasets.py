"""Sealed datasets that hold rows of a subject: sealed again without them, then deleted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from operations.erasing.golden import EraseGolden, of_subject
from operations.erasing.row_names import PLACE, row_names
from processors.curation.erasures import ErasureIndex
from schemas.datasets import Manifest, Recipe, Shard
from schemas.erasures import MARKS, Erasure
from schemas.errors import Code, LorikeetError, Unrecoverable
from schemas.jobs import JobState
from stores.control import erasures, jobs, registry
from stores.control.database import Database
from stores.datasets.store import DatasetStore, shard_key
from stores.datasets.withdraw import delete, delete_orphans, forget_withdrawal, who, withdraw
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.scan import Scan, where

_REFUSED = frozenset(
    {
        Code.DATASET_TOO_SMALL,
        Code.DATASET_ONE_SIDED,
        Code.DATASET_OWN_OUTPUT,
        Code.DATASET_UNSPLIT,
    }
)
_READING = (JobState.INITIALIZING, JobState.PREPARING_DATA)
"""Jobs in these states may have read rows that are empty by now."""


class Seal(Protocol):
    """See `operations.seal_dataset.SealDataset`."""

    def __call__(
        self, tenant: str, model: str, recipe: Recipe, offsets: Mapping[str, int], now: datetime
    ) -> Manifest:
        """Seal a window."""


class InShard(NamedTuple):
    """How many examples or pairs of a shard are of the subject, and the rows they came from."""

    items: int
    rows: set[str]


@dataclass(slots=True)
class Held:
    """A dataset that has to go: rows of the subject that it holds; its golden set was replaced.

    Of a `damaged` one, in which shards are missing or changed, nobody can tell all that it holds.
    """

    manifest: Manifest
    rows: int = 0
    golden: bool = False
    damaged: bool = False
    shards: list[str] = field(default_factory=list)

    def add(self, shard: Shard, found: InShard | None) -> set[str]:
        """Count what a shard holds, None if it is damaged; the rows of the subject in it."""
        self.shards.append(shard.file)
        if found is None:
            self.damaged = True
            return set()
        self.rows += found.items
        return found.rows


class EraseDatasets:
    """See the module. Golden sets come first, since a manifest names the one that was kept out of it."""

    def __init__(
        self,
        database: Database,
        place: Place,
        store: DatasetStore,
        seal: Seal,
        job_folders: Path,
        fault: Fault = no_fault,
    ) -> None:
        self._database = database
        self._place = place
        self._store = store
        self._seal = seal
        self._jobs = job_folders
        self._fault = fault
        self._golden = EraseGolden(database, store, fault)

    def __call__(self, found: Erasure, index: ErasureIndex, now: datetime) -> None:
        """Withdraw them; what was done is in the erasure's report afterwards."""
        forget_withdrawal(self._store)
        rows = set(self._emptied(found.tenant))
        self.cancel(found, now)
        self._golden(found, index, rows, now)
        for held in self._held(found, index, rows, self._replaced(found)):
            if self._mended(held, now):
                continue
            self.cancel(found, now, held.manifest.digest)
            self._reseal(found, held, now)
        for digest, said in self._report(found.id).get("datasets", {}).items():
            withdraw(self._store, digest, said["shards"])
            self._clear(digest)
            self._fault("dataset_deleted")
        self._delete_orphans(found, index, rows)

    def holding(self, found: Erasure, index: ErasureIndex, since: datetime | None = None) -> bool:
        """Whether a dataset holds rows of the subject; of those sealed since then, if that is given."""
        if not self._living(found.tenant, since):
            return False
        rows = set(self._emptied(found.tenant))
        return any(True for _ in self._held(found, index, rows, self._replaced(found), since))

    def concerned(self, found: Erasure, index: ErasureIndex, rows: set[str]) -> list[Held]:
        """The datasets that would have to go if these rows were emptied; nothing is changed."""
        every = rows | set(self._emptied(found.tenant))
        golden = {
            known["digest"]
            for known in self._database.read(registry.golden_list)
            if known["tenant"] == found.tenant
            and any(
                of_subject(case, found.tenant, index, every)
                for case in self._store.golden(known["digest"])
            )
        }
        held = self._held(found, index, every, golden)
        return [one for one in held if one.rows or one.golden]

    def _replaced(self, found: Erasure) -> set[str]:
        """The golden sets that were replaced."""
        return {one["digest"] for one in self._report(found.id).get("golden", [])}

    def _delete_orphans(self, found: Erasure, index: ErasureIndex, rows: set[str]) -> None:
        """What a killed seal left, too, and what one has written that had read the rows before."""

        def holds(key: str) -> bool:
            table = who(self._store, key)
            if table is None:
                return True  # nobody can tell, and nobody needs it
            # A source's name says nothing of the tenant; the rows' ids and people's HMACs do.
            kept = [name for name in table.column_names if name != "source"]
            return _in_shard(table.select(kept), found, index, rows).items > 0

        delete_orphans(self._store, holds)

    def _held(
        self,
        found: Erasure,
        index: ErasureIndex,
        rows: set[str],
        golden: AbstractSet[str],
        since: datetime | None = None,
    ) -> Iterator[Held]:
        """The datasets that have to go, oldest first, and the damaged ones. `golden` are sets that have to."""
        known: dict[str, InShard | None] = {}
        for digest in self._living(found.tenant, since):
            manifest = self._store.manifest(digest)
            held = Held(manifest, golden=manifest.golden in golden)
            for shard in manifest.shards:
                if shard.file not in known:
                    table = who(self._store, shard_key(shard))
                    told = table is not None
                    known[shard.file] = _in_shard(table, found, index, rows) if told else None
                rows |= held.add(shard, known[shard.file])
            if held.damaged:
                held.rows = max(held.rows, self._in_index(digest, rows))
            if held.rows or held.golden or held.damaged:
                yield held

    def _in_index(self, digest: str, rows: set[str]) -> int:
        """How many of these rows a dataset's index names: what is left to ask where shards are damaged."""
        try:
            names = self._store.index(digest)["row_id"].to_pylist()
        except LorikeetError:
            return 0
        return sum(name in rows for name in names)

    def _living(self, tenant: str, since: datetime | None = None) -> list[str]:
        return [
            known["digest"]
            for known in self._database.read(registry.dataset_list)
            if known["tenant"] == tenant
            and known["erased_by"] is None
            and (since is None or known["created_at"] >= since)
        ]

    def _mended(self, held: Held, now: datetime) -> bool:
        """Whether a dataset that had to go for its damage alone is whole again: sealed once more, the same."""
        if held.rows or held.golden:
            return False
        try:
            return self._sealed(held.manifest, now).digest == held.manifest.digest
        except Unrecoverable as error:
            if error.code not in _REFUSED:
                raise
            return False

    def _sealed(self, old: Manifest, now: datetime) -> Manifest:
        return self._seal(old.tenant, old.model, old.recipe, old.offsets, now)

    def _reseal(self, found: Erasure, held: Held, now: datetime) -> None:
        old = held.manifest
        successor, why = None, ""
        try:
            sealed = self._sealed(old, now)
        except Unrecoverable as error:
            if error.code not in _REFUSED:
                raise
            why = str(error)
        else:
            if sealed.digest == old.digest:
                detail = f"{old.digest} holds rows that are erased, and is sealed the same again"
                raise Unrecoverable(Code.DATASET_CORRUPT, detail)
            successor = sealed
        self._fault("dataset_sealed")
        said = {
            "model": old.model,
            "version": old.version,
            "rows": held.rows,
            "golden": held.golden,
            "shards": held.shards,
            "successor": successor.digest if successor else None,
            "successor_version": successor.version if successor else None,
            "refused": why,
        }
        note = partial(_note, name=found.id, digest=old.digest, said=said, now=now)
        self._database.write(note)
        self._fault("dataset_noted")

    def cancel(self, found: Erasure, now: datetime, dataset: str | None = None) -> None:
        """Cancel the tenant's jobs that may be reading rows, and those that train on a dataset."""

        def work(connection: Connection) -> None:
            stopped = dict(erasures.report(connection, found.id).get("cancelled", {}))
            for job in jobs.every(connection):
                trains = dataset is not None and job.dataset_digest == dataset
                reading = trains or job.state in _READING
                if job.tenant == found.tenant and not job.state.ended and reading:
                    why = f"{found.kind} {found.id}"
                    jobs.move(connection, job, JobState.CANCELLED, now, why)
                    stopped[job.id] = job.model
            if stopped:
                erasures.note(connection, found.id, now, cancelled=stopped)

        self._database.write(work)

    def _clear(self, digest: str) -> None:
        """The copies of a dataset, and of answers to it, that jobs keep."""
        for job in self._database.read(jobs.every):
            if job.dataset_digest == digest:
                shutil.rmtree(self._jobs / job.id, ignore_errors=True)
                objects = self._store.objects
                delete(objects, list(objects.keys(f"reports/{job.id}")))

    def _report(self, name: str) -> Mapping[str, Any]:
        return self._database.read(lambda c: erasures.report(c, name))

    def _emptied(self, tenant: str) -> Iterator[str]:
        """The ids of the tenant's rows that are empty, whichever erasure that was."""
        wanted = where(tenant=tenant, disposition="rejected")
        for batch in Scan(self._place).batches([*PLACE, "reasons"], wanted):
            said = pc.binary_join(batch["reasons"], ",").to_pylist()
            for why, name in zip(said, row_names(batch), strict=True):
                if why in MARKS.values():
                    yield name


def _in_shard(table: pa.Table, found: Erasure, index: ErasureIndex, rows: set[str]) -> InShard:
    columns = {name: table[name].to_pylist() for name in table.column_names}
    length = table.num_rows
    marks = index.marks({"tenant": [found.tenant] * length, **columns})
    ids = [columns.get(name, [None] * length) for name in _IDS]
    hit = [
        mark is not None or not rows.isdisjoint(one)
        for mark, one in zip(marks, zip(*ids, strict=True), strict=True)
    ]
    own = columns.get("row_id", [None] * length)
    more = {row for row, mark in zip(own, marks, strict=True) if mark is not None and row}
    return InShard(sum(hit), more)


_IDS = ("row_id", "label_row", "chosen_row", "rejected_row")


def _note(
    connection: Connection, name: str, digest: str, said: Mapping[str, Any], now: datetime
) -> None:
    """Before anything is deleted: what was the dataset's, and what came in its place."""
    registry.mark_erased(connection, digest, name, said["successor"])
    listed = {**erasures.report(connection, name).get("datasets", {}), digest: dict(said)}
    erasures.note(connection, name, now, datasets=listed)
