"""A gap that somebody accepts: the partition is read on from where its log begins now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from consumers.log_walk import LogEnds, LogReader
from consumers.verify_ledger import newest_incarnation
from schemas.errors import Code, Unrecoverable
from schemas.records import TopicPartition, partition_key
from stores.control import stops
from stores.control.database import Database
from stores.ledger.delta import DeltaLedgerReader, DeltaLedgerWriter

MADE_ANEW = "made_anew"


@dataclass(frozen=True, slots=True)
class Outside:
    """A stored offset outside its partition's log; `made_anew` as far as can be known."""

    tp: TopicPartition
    key: str
    stored: int
    bounds: LogEnds
    made_anew: bool

    @property
    def lost(self) -> int | None:
        """Offsets that nobody can read any more; None of a topic that is gone."""
        return None if self.made_anew else self.bounds.first - self.stored


class AcceptGap:
    """Looks, and records what was accepted."""

    def __init__(
        self,
        reader: DeltaLedgerReader,
        writer: DeltaLedgerWriter,
        database: Database,
        cluster: str,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._database = database
        self._cluster = cluster

    async def look(self, log: LogReader, tp: TopicPartition) -> Outside:
        """Raises Unrecoverable(NO_GAP) where ingest can go on, Unrecoverable(NO_TOPIC)."""
        if tp not in await log.partitions(tp.topic):
            raise Unrecoverable(Code.NO_TOPIC, f"{tp.topic}[{tp.partition}]")
        bounds = await log.bounds(tp)
        offsets = await asyncio.to_thread(self._reader.offsets)
        key = partition_key(self._cluster, *tp, newest_incarnation(offsets, self._cluster, tp))
        stored = offsets.get(key)
        if stored is None:
            raise Unrecoverable(Code.NO_GAP, f"{tp.topic}[{tp.partition}] was never read")
        anew = stored > bounds.stable or self._known_anew(key, stored)
        if not anew and stored >= bounds.first:
            detail = (
                f"{tp.topic}[{tp.partition}] is stored at {stored}, inside its log"
                f" {bounds.first} to {bounds.stable}"
            )
            raise Unrecoverable(Code.NO_GAP, detail)
        return Outside(tp, key, stored, bounds, anew)

    def accept(self, found: Outside, *, actor: str, reason: str) -> None:
        """Record it, and let ingest go on. Raises NotReady(LEDGER_FENCED) if somebody was faster."""
        note = {
            "accepted_by": actor,
            "reason": reason,
            "log_start": str(found.bounds.first),
            "log_end": str(found.bounds.stable),
        }
        self._writer.claim([found.tp])
        self._writer.accept_gap(found.tp, found.bounds.first, anew=found.made_anew, note=note)
        self._database.write(partial(stops.clear, partition_key=found.key))

    def _known_anew(self, key: str, stored: int) -> bool:
        """Ingest saw that the topic was made anew; it may have grown past the stored offset since."""
        return any(
            stop.partition_key == key and stop.next_offset == stored and stop.reason == MADE_ANEW
            for stop in self._database.read(stops.every)
        )
