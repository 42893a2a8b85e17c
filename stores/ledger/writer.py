"""Writing: one process's hold on some partitions.

One commit carries the rows and, as Delta `txn` actions, the next offset of every partition in it:
id `cluster:topic:partition`, version = next offset. A writer keeps only what lies above the stored
version and never moves a version backwards. Two checks meet at the snapshot that the writer's handle
holds: what others moved up to it, the writer compares with its claims; what they move after it, Delta
refuses as a conflict.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from schemas.errors import Code, NotReady
from schemas.records import TopicPartition, partition_key
from schemas.rows import Row
from stores.ledger.commit import commit
from stores.ledger.files import add_action
from stores.ledger.gaps import Gap, transaction
from stores.ledger.place import Fault, Place, no_fault
from stores.ledger.schema import PARTITION_COLUMN, fit, to_table
from stores.ledger.table import DayDropped, check_version, ledger_error, open_table, place_of
from stores.ledger.vacuum import CHECKPOINT_COMMITS, checkpoint

COMMIT_STEPS = ("data_written", "data_synced", "committed", "log_synced")
"""The commit's steps, in order; a fault hook is called after each."""
_ATTEMPTS = 15
_NOWHERE = (0, 0)


class DeltaLedgerWriter:
    """See `LedgerWriter`. One per process; not for use from several threads at once."""

    def __init__(
        self,
        where: Path | Place,
        cluster: str,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        fault: Fault = no_fault,
    ) -> None:
        """Open or make the ledger; `cluster` is the Kafka cluster's id.

        `today` dates the files: the ledger is partitioned by the day of ingest, since producers can
        set any timestamp and a backfill of a year would else write a year's files in every commit.
        """
        self._place = place_of(where)
        self._cluster = cluster
        self._today = today
        self._fault = fault
        self._open()
        self._claimed: dict[TopicPartition, int | None] = {}
        self._incarnations: dict[TopicPartition, int] = {}
        self._compared: dict[TopicPartition, int] = {}

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The stored next offsets; these partitions, and only these, are held from now on."""
        try:
            self._catch_up()
            check_version(self._table, self._place)
            self._incarnations = {tp: self._newest(tp) for tp in partitions}
            self._claimed = {tp: self._stored(tp) for tp in self._incarnations}
        except (DeltaError, OSError) as error:
            raise ledger_error(error, self._place) from error
        self._compared = dict.fromkeys(self._claimed, self._table.version())
        return dict(self._claimed)

    def incarnation(self, tp: TopicPartition) -> int:
        """Which topic of that name the claimed partition is of; its rows carry it."""
        return self._incarnations[tp]

    def key(self, tp: TopicPartition) -> str:
        """The claimed partition's key."""
        return partition_key(self._cluster, *tp, self._incarnations[tp])

    def append(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Commit rows and next offsets, in numbered steps."""
        self._check_forward(rows, offsets)
        self._check_unmoved(offsets)
        before = self._table.version()
        actions: list[AddAction | RemoveAction] = []
        if rows:
            actions.append(self._write_file(rows))  # 1, 2: data, written and synced
        moved = {self.key(tp): offset for tp, offset in offsets.items()}
        # 3, 4: rows and offsets become visible together; the log, synced
        self._commit(actions, moved, offsets)
        self._moved(before, offsets)

    def shorten_log(self) -> bool:
        """A checkpoint, if it is time for one: after every hundredth commit, by who made it.

        The ledger's maintenance makes them too, but ingest has to start again quickly without it. A handle
        holds all commits since it was opened, and each costs every later append 0.1 ms: it is opened anew as
        often. Rows are durable before: what is raised here, a LorikeetError, may be passed over.
        """
        made = False
        try:
            if not self._table.version() % CHECKPOINT_COMMITS:
                made = checkpoint(self._place, CHECKPOINT_COMMITS // 2)
            if self._table.version() >= self._opened + CHECKPOINT_COMMITS:
                self._open()
        except (DeltaError, OSError) as error:
            raise ledger_error(error, self._place) from error
        return made

    def accept_gap(
        self, tp: TopicPartition, start: int, *, anew: bool, note: Mapping[str, str]
    ) -> Gap:
        """Move a claimed partition's next offset forward to `start`, on record; the gap.

        `anew`: the topic was made anew, so its next incarnation begins at `start`, and the gap is all
        below. Whoever still writes the partition is fenced. `note` says who (`accepted_by`) and why
        (`reason`). Raises NotReady(LEDGER_FENCED).
        """
        self._check_unmoved([tp])
        self._check_forward([], {} if anew else {tp: start})
        before, stored = self._table.version(), self._claimed[tp]
        number = self._incarnations[tp] + anew
        key = partition_key(self._cluster, *tp, number)
        when = {"accepted_at": datetime.now(UTC).isoformat(timespec="seconds")}
        gap = Gap(key, 0 if anew else stored or 0, start, {**when, **note})
        moved = {key: start, transaction(gap): start}
        if anew and stored is not None:  # a writer of the old incarnation meets a conflict
            moved[self.key(tp)] = stored
        self._commit([], moved, [tp], {"lorikeet.gap": gap.as_json()})
        self._incarnations[tp] = number
        self._moved(before, {tp: start})
        return gap

    def _commit(
        self,
        actions: Sequence[AddAction | RemoveAction],
        moved: Mapping[str, int],
        partitions: Iterable[TopicPartition],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Commit, again if retention dropped a day meanwhile and nobody moved these partitions."""
        for attempt in itertools.count(1):
            try:
                commit(self._table, self._place, actions, moved, self._fault, metadata)
            except DayDropped:
                if attempt == _ATTEMPTS:
                    raise
                self._table.update_incremental()
                self._check_unmoved(partitions)
            else:
                return

    def _open(self) -> None:
        self._table = open_table(self._place)
        self._opened = self._table.version()

    def _catch_up(self) -> None:
        try:
            self._table.update_incremental()
        except DeltaError:  # it slept until the log was trimmed
            self._open()

    def _moved(self, before: int, offsets: Mapping[TopicPartition, int]) -> None:
        if self._table.version() == before + 1:  # this commit and nobody else's
            known = [tp for tp, version in self._compared.items() if version == before]
            self._compared.update(dict.fromkeys(known, before + 1))
        self._claimed.update(offsets)

    def _check_unmoved(self, partitions: Iterable[TopicPartition]) -> None:
        """Nobody else's commit that the snapshot holds already has moved these claimed partitions.

        Delta looks for conflicts after the snapshot only, and our own commits carry it forward past
        those of others. Asking costs milliseconds a partition: each is asked for once a snapshot, when
        it is to be written.
        """
        version = self._table.version()
        for tp in partitions:
            if self._compared.get(tp) == version or tp not in self._claimed:
                continue
            stored, claimed = self._stored(tp), self._claimed[tp]
            if stored != claimed or self._newest(tp) != self._incarnations[tp]:
                detail = f"{tp.topic}[{tp.partition}] was moved from {claimed} to {stored}"
                raise NotReady(Code.LEDGER_FENCED, detail)
            self._compared[tp] = version

    def _check_forward(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        bounds: dict[tuple[str, str, int, int], tuple[int, int]] = {}
        for tp, offset in offsets.items():
            stored = self._claimed.get(tp, -1)
            if tp not in self._claimed or (stored is not None and offset <= stored):
                raise NotReady(Code.LEDGER_FENCED, f"{tp.topic}[{tp.partition}] is not claimed")
            bounds[self._cluster, *tp, self._incarnations[tp]] = stored or 0, offset
        for row in rows:
            place = row.cluster, row.topic, row.partition, row.incarnation
            begin, end = bounds.get(place, _NOWHERE)
            if not begin <= row.offset < end:
                raise NotReady(Code.LEDGER_FENCED, f"row {row.row_id} is outside the batch")

    def _write_file(self, rows: Sequence[Row]) -> AddAction:
        day = self._today().isoformat()
        name = f"{PARTITION_COLUMN}={day}/{uuid.uuid4()}.parquet"
        try:
            size = self._place.write(name, fit(to_table(rows), self._table))
            self._fault("data_written")
            self._place.sync([name])
            self._fault("data_synced")
        except OSError as error:
            raise ledger_error(error, self._place) from error
        return add_action(name, size, day, len(rows), data_change=True)

    def _stored(self, tp: TopicPartition) -> int | None:
        """The partition's next offset on the handle's snapshot."""
        return self._table.transaction_version(self.key(tp))

    def _newest(self, tp: TopicPartition) -> int:
        """The newest incarnation of a topic that the ledger knows."""
        for number in itertools.count(1):
            if self._table.transaction_version(partition_key(self._cluster, *tp, number)) is None:
                return number - 1
        raise AssertionError  # pragma: no cover - count has no end
