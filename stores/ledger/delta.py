"""The ledger on Delta Lake.

One commit carries the rows and, as Delta `txn` actions, the next offset of every partition in it:
id `cluster:topic:partition`, version = next offset. A writer keeps only what lies above the stored
version and never moves a version backwards. Two checks meet at the snapshot that the writer's handle
holds: what others moved up to it, the writer compares with its claims; what they move after it, Delta
refuses as a conflict.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pd
import pyarrow.parquet as pq
from deltalake import CommitProperties, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from schemas.errors import Code, NotReady
from schemas.records import TopicPartition, partition_key
from schemas.rows import Row
from stores.ledger import durable
from stores.ledger.port import Addition
from stores.ledger.schema import PARTITION_COLUMN, TABLE_SCHEMA, to_row, to_table
from stores.ledger.table import check_version, ledger_error, open_table

_RETRIES = 15


class DeltaLedgerWriter:
    """See `LedgerWriter`. One per process; not for use from several threads at once."""

    def __init__(
        self, path: Path, cluster: str, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        """Open or make the ledger; `cluster` is the Kafka cluster's id.

        `today` dates the files: the ledger is partitioned by the day of ingest, since producers can
        set any timestamp and a backfill of a year would else write a year's files in every commit.
        """
        self._path = path
        self._cluster = cluster
        self._today = today
        self._table = open_table(path)
        self._claimed: dict[TopicPartition, int | None] = {}
        self._incarnations: dict[TopicPartition, int] = {}
        self._compared = self._table.version()

    def claim(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int | None]:
        """The stored next offsets; these partitions, and only these, are held from now on."""
        try:
            self._table.update_incremental()
            self._incarnations = {tp: self._newest(tp) for tp in partitions}
            self._claimed = {tp: self._stored(tp) for tp in self._incarnations}
        except (DeltaError, OSError) as error:
            raise ledger_error(error, self._path) from error
        check_version(self._table, self._path)
        self._compared = self._table.version()
        return dict(self._claimed)

    def incarnation(self, tp: TopicPartition) -> int:
        """Which topic of that name the claimed partition is of; its rows carry it."""
        return self._incarnations[tp]

    def append(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        """Commit rows and next offsets, in numbered steps."""
        self._check_forward(rows, offsets)
        try:
            self._check_unmoved()
            self._commit(rows, offsets)
        except (DeltaError, OSError) as error:
            raise ledger_error(error, self._path) from error
        self._claimed.update(offsets)

    def _commit(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        before = self._table.version()
        actions: list[AddAction | RemoveAction] = []
        if rows:
            actions.append(self._write_file(rows))  # 1: data, synced
        self._table.create_write_transaction(  # 2: rows and offsets become visible together
            actions,
            "append",
            TABLE_SCHEMA,
            partition_by=[PARTITION_COLUMN],
            commit_properties=CommitProperties(
                app_transactions=[
                    Transaction(self.key(tp), offset) for tp, offset in offsets.items()
                ],
                max_commit_retries=_RETRIES,
            ),
        )
        self._table.update_incremental()
        after = self._table.version()
        durable.sync_log(self._path, before, after)  # 3: the log, synced
        if after == before + 1:  # this commit and nobody else's
            self._compared = after

    def _check_unmoved(self) -> None:
        """Nobody else's commit that the snapshot holds already has moved what is claimed.

        Delta looks for conflicts after the snapshot only, and our own commits carry it forward past
        those of others. Asking costs milliseconds a partition: only a snapshot that holds some is.
        """
        if self._table.version() == self._compared:
            return
        for tp, claimed in self._claimed.items():
            stored = self._stored(tp)
            if stored != claimed:
                detail = f"{tp.topic}[{tp.partition}] was moved from {claimed} to {stored}"
                raise NotReady(Code.LEDGER_FENCED, detail)
        self._compared = self._table.version()

    def _check_forward(self, rows: Sequence[Row], offsets: Mapping[TopicPartition, int]) -> None:
        for tp, offset in offsets.items():
            stored = self._claimed.get(tp, -1)
            if tp not in self._claimed or (stored is not None and offset <= stored):
                raise NotReady(Code.LEDGER_FENCED, f"{tp.topic}[{tp.partition}] is not claimed")
        for row in rows:
            tp = TopicPartition(row.topic, row.partition)
            stored = self._claimed.get(tp)
            inside = tp in offsets and (stored or 0) <= row.offset < offsets[tp]
            if not inside or row.partition_key != self.key(tp):
                raise NotReady(Code.LEDGER_FENCED, f"row {row.row_id} is outside the batch")

    def _write_file(self, rows: Sequence[Row]) -> AddAction:
        day = self._today().isoformat()
        name = f"{PARTITION_COLUMN}={day}/{uuid.uuid4()}.parquet"
        size = durable.write_parquet(to_table(rows), self._path / name)
        stats = json.dumps({"numRecords": len(rows)})
        now = int(time.time() * 1000)
        return AddAction(name, size, {PARTITION_COLUMN: day}, now, True, stats)  # noqa: FBT003 - delta-rs's own signature

    def _stored(self, tp: TopicPartition) -> int | None:
        """The partition's next offset on the handle's snapshot."""
        return self._table.transaction_version(self.key(tp))

    def key(self, tp: TopicPartition) -> str:
        """The claimed partition's key."""
        return partition_key(self._cluster, *tp, self._incarnations[tp])

    def _newest(self, tp: TopicPartition) -> int:
        """The newest incarnation of a topic that the ledger knows."""
        for number in itertools.count(1):
            if self._table.transaction_version(partition_key(self._cluster, *tp, number)) is None:
                return number - 1
        raise AssertionError  # pragma: no cover - count has no end


class DeltaLedgerReader:
    """See `LedgerReader`. Opens the table anew for each call: readers never fence."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def version(self) -> int:
        """The newest table version."""
        return open_table(self._path).version()

    def offsets(self) -> dict[str, int]:
        """Next offset of every `cluster:topic:partition` known, newest log entry first."""
        found: dict[str, int] = {}
        for _, actions in durable.entries(self._path, -1):
            for action in actions:
                if "txn" in action:
                    found[action["txn"]["appId"]] = action["txn"]["version"]
        return found

    def rows(
        self, *, tenant: str | None = None, offsets: Mapping[str, int] | None = None
    ) -> Iterator[Row]:
        """Rows of a tenant below the given offsets, in no order."""
        wanted = None if tenant is None else pc.field("tenant") == tenant
        for batch in self._scan(None, wanted):
            for record in batch.to_pylist():
                row = to_row(record)
                if offsets is None or row.offset < offsets.get(row.partition_key, 0):
                    yield row

    def identities(
        self, cluster: str, tp: TopicPartition
    ) -> Iterator[tuple[tuple[str, str, str] | None, int]]:
        """(tenant, source, id) and Kafka timestamp of a partition's rows, in offset order."""
        wanted = (
            (pc.field("cluster") == cluster)
            & (pc.field("topic") == tp.topic)
            & (pc.field("partition") == tp.partition)
        )
        columns = ["incarnation", "offset", "tenant", "source", "id", "timestamp"]
        batches = list(self._scan(columns, wanted))
        if not batches:
            return
        table = pa.Table.from_batches(batches).sort_by(
            [("incarnation", "ascending"), ("offset", "ascending")]
        )
        for row in table.to_pylist():
            known = None not in (row["tenant"], row["source"], row["id"])
            identity = (row["tenant"], row["source"], row["id"]) if known else None
            yield identity, row["timestamp"]

    def table(self, columns: Sequence[str]) -> pa.Table:
        """All rows, with the columns asked for."""
        return self._dataset().to_table(columns=list(columns))

    def additions(self, since: int, columns: Sequence[str]) -> Iterator[Addition]:
        """Commits after version `since`, in order; compactions (no data change) are skipped."""
        for version, actions in durable.entries(self._path, since):
            added = [a["add"] for a in actions if a.get("add", {}).get("dataChange")]
            offsets = {a["txn"]["appId"]: a["txn"]["version"] for a in actions if "txn" in a}
            if added or offsets:
                files = [self._path / add["path"] for add in added]
                rows = itertools.chain.from_iterable(
                    pq.read_table(file, columns=list(columns), partitioning=None).to_pylist()
                    for file in files
                )
                yield Addition(version, list(rows), offsets)

    def _dataset(self) -> pd.Dataset:
        return open_table(self._path).to_pyarrow_dataset()

    def _scan(
        self, columns: Sequence[str] | None, wanted: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        names = list(columns) if columns else [field.name for field in TABLE_SCHEMA]
        yield from self._dataset().to_batches(columns=names, filter=wanted)
