"""Take a subject's data back, step by step; each can be repeated, and is on record before the next begins.

    asked      recorded, with an audit note; from now on ingest empties what comes of the subject
    rows       the ledger's rows are emptied, the files that held them deleted, the counters counted anew
    datasets   golden sets and datasets that held them are replaced and deleted, jobs on them cancelled
    adapters   what was trained on them is in quarantine, rolled back where it served; jobs are made
    certified  the certificate is stored, signed

Interrupted anywhere, the same call goes on. One erasure after the other, in the order of asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection

from operations.erasing import certificate
from operations.erasing.adapters import QuarantineAdapters
from operations.erasing.certificates import Certificates
from operations.erasing.datasets import EraseDatasets
from operations.erasing.letters import erase_letters
from operations.erasing.rows import EmptyRows
from operations.hold_lease import HeldLease
from processors.curation.erasures import ErasureIndex
from processors.curation.pseudonyms import Pseudonyms
from schemas.erasures import Erasure, ErasureKind, ErasureState
from stores.artifacts.objects import ObjectFolder
from stores.control import erasures, outbox
from stores.control.database import Database

LEASE = "erase"
_WATCHED = timedelta(minutes=10)
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Steps:
    """What carries it out."""

    rows: EmptyRows
    datasets: EraseDatasets
    adapters: QuarantineAdapters


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the certificate names: the topics, and ledgers that were kept beside this one."""

    topics: Sequence[str]
    dead_letter_topic: str
    copies: Callable[[], Sequence[str]]


class Touched(NamedTuple):
    """What an erasure is about: how many rows, the digests of datasets, adapters as model and version."""

    rows: int
    datasets: list[str]
    adapters: list[str]


class Erase:
    """See the module."""

    def __init__(
        self,
        database: Database,
        steps: Steps,
        objects: ObjectFolder,
        certificates: Certificates,
        pseudonyms: Pseudonyms,
        around: Surroundings,
        owner: str,
        fault: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._steps = steps
        self._objects = objects
        self._certificates = certificates
        self._pseudonyms = pseudonyms
        self._around = around
        self._owner = owner
        self._fault = fault
        self._recalled = False

    def ask(
        self,
        tenant: str,
        subject: Mapping[str, str],
        now: datetime,
        *,
        kind: ErasureKind = ErasureKind.ERASURE,
        reason: str,
        requested_by: str,
    ) -> str:
        """Put it on record; its id. Asked for again, it is the same one."""
        return self._database.write(
            lambda c: erasures.ask(
                c,
                now,
                tenant=tenant,
                kind=kind,
                subject=subject,
                reason=reason,
                requested_by=requested_by,
            )
        )

    def preview(
        self,
        tenant: str,
        subject: Mapping[str, str],
        now: datetime,
        kind: ErasureKind = ErasureKind.ERASURE,
    ) -> Touched:
        """What it would touch as things are; nothing is changed, nor put on record."""
        asked = Erasure(
            id=erasures.erasure_id(tenant, kind, subject),
            tenant=tenant,
            kind=kind,
            subject=subject,
            reason="",
            requested_by="",
            requested_at=now,
            state=ErasureState.ASKED,
            report={},
            certificate=None,
            updated_at=now,
        )
        rows = self._steps.rows.concerned(asked)
        held = self._steps.datasets.concerned(asked, ErasureIndex([asked]), rows)
        learned = {one.manifest.digest for one in held if one.rows}
        adapters = self._steps.adapters.concerned(asked, learned)
        return Touched(len(rows), [one.manifest.digest for one in held], adapters)

    def recall(self, now: datetime) -> None:
        """Ask again for what certificates name and the control database does not know: it is an older one.

        Once a process; a rebuild does it first, since it would bring back what it has not heard of.
        """
        if self._recalled:
            return
        known = set(self._database.read(erasures.names))
        for said in self._certificates.every():
            if said["id"] not in known:
                at = datetime.fromisoformat(said["requested_at"])
                subject, kind = said["subject"], ErasureKind(said["kind"])
                facts = {"reason": said["reason"], "requested_by": said["requested_by"]}
                self.ask(said["tenant"], subject, min(at, now), kind=kind, **facts)
        self._recalled = True

    def __call__(self, clock: Clock, name: str | None = None) -> list[Erasure]:
        """Carry out what was asked for and is not done, and `name` in any case; these, certified.

        Those that are done are looked at once more for a while, and named where more was found.
        Raises NotReady(LEASE_TAKEN) while another process does, or what a step meets: call it again.
        """
        self.recall(clock())
        if not self._due(name, clock()):
            return []
        with HeldLease(self._database, LEASE, self._owner, clock):
            due = self._due(name, clock())
            done = [self._carry_out(one, clock, thorough=one.id == name) for one in due]
        return [now for was, now in zip(due, done, strict=True) if now.id == name or now != was]

    def _due(self, name: str | None, now: datetime) -> list[Erasure]:
        """What is not done, or only just: a writer may have committed what it decided before."""
        return [
            one
            for one in self._database.read(erasures.every)
            if one.id == name
            or one.state is not ErasureState.CERTIFIED
            or now - one.updated_at < _WATCHED
        ]

    def _carry_out(self, found: Erasure, clock: Clock, *, thorough: bool) -> Erasure:
        if found.state is ErasureState.CERTIFIED:
            if not self._came_since(found, thorough=thorough):
                return found
            found = self._reach(found, ErasureState.ASKED, clock(), {})
        index = ErasureIndex([found])
        if found.state is ErasureState.ASKED:
            self._steps.datasets.cancel(found, clock())  # the files that they read are deleted
            done = self._steps.rows(found, clock)
            found = self._reach(found, ErasureState.ROWS, clock(), done)
        if found.state is ErasureState.ROWS:
            self._steps.datasets(found, index, clock())
            gone, unknown = erase_letters(self._objects, index, self._pseudonyms)
            known = found.report.get("letters", {}).get("deleted", [])
            letters = {"deleted": sorted({*known, *gone}), "unknown": unknown}
            found = self._reach(found, ErasureState.DATASETS, clock(), {"letters": letters})
        if found.state is ErasureState.DATASETS:
            self._steps.adapters(found, clock())
            finished = {"finished_at": clock().isoformat()}
            found = self._reach(found, ErasureState.ADAPTERS, clock(), finished)
        if self._came_since(found, thorough=True):
            again = self._reach(found, ErasureState.ASKED, clock(), {})
            return self._carry_out(again, clock, thorough=True)
        return self._certify(found, clock())

    def _came_since(self, found: Erasure, *, thorough: bool) -> bool:
        """Whether something of the subject was written by who had not heard of the erasure yet."""
        since = None if thorough else found.updated_at
        index = ErasureIndex([found])
        return self._steps.rows.late(found) or self._steps.datasets.holding(found, index, since)

    def _reach(
        self, found: Erasure, state: ErasureState, now: datetime, report: Mapping[str, Any]
    ) -> Erasure:
        def work(connection: Connection) -> Erasure:
            erasures.reach(connection, found.id, state, now, report)
            current = erasures.get(connection, found.id)
            assert current is not None  # noqa: S101 - it was just written
            return current

        moved = self._database.write(work)
        self._fault(str(state))
        return moved

    def _certify(self, found: Erasure, now: datetime) -> Erasure:
        around = self._around
        missing = certificate.not_covered(
            found, around.topics, around.dead_letter_topic, around.copies()
        )
        said = certificate.facts(found, found.report["finished_at"], missing)
        digest = self._certificates.write(said)
        self._fault("certificate_stored")
        return self._database.write(partial(_end, found=found, digest=digest, now=now))


def _end(connection: Connection, found: Erasure, digest: str, now: datetime) -> Erasure:
    erasures.reach(connection, found.id, ErasureState.CERTIFIED, now, {}, digest)
    outbox.note(
        connection,
        now,
        actor=found.requested_by,
        action=f"{found.kind}.certified",
        subject=found.id,
        detail={"certificate": digest},
    )
    done = erasures.get(connection, found.id)
    assert done is not None  # noqa: S101 - it was just written
    return done
