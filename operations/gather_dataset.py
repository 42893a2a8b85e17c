"""The chosen rows' texts, read once more: examples and pairs into shards, golden cases into a list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from processors.curation.seal.decide import NO_PART, Decision
from processors.curation.seal.examples import answered, example, golden_case, tools_of, turns_of
from processors.curation.seal.feedback import FeedbackIndex
from processors.curation.seal.outcome import PARTS
from schemas.datasets import GoldenCase, Pair, Shard, ShardKind, Split
from schemas.digests import digest_of
from schemas.records import partition_key
from schemas.rows import Row
from stores.datasets.columns import SCHEMAS, to_columns
from stores.datasets.spill import Draft, Spill, content_digest
from stores.datasets.store import DatasetStore

Array: TypeAlias = np.ndarray[Any, Any]
PLACE = ("cluster", "topic", "incarnation", "partition", "offset")
COLUMNS = (*PLACE, "tenant", "run_id", "source", "content")
BLOCK = 65_536
"""Offsets of one partition that make a shard: its borders do not move when a window does."""
_PAIRS = 16_384


class Text(NamedTuple):
    """A row of the window with its text, and the feedback that mends it."""

    row: int
    content: str
    label: Row | None

    @property
    def edit(self) -> str | None:
        """The text of the edit."""
        return self.label.content if self.label else None


class Gathered(NamedTuple):
    """The shards of a dataset, and digests over what they hold; `margins` are those of the pairs with their
    splits.
    """

    shards: tuple[Shard, ...]
    examples: str
    pairs: str
    margins: tuple[tuple[str, float], ...]


def texts(
    batches: Iterator[pa.RecordBatch], facts: pa.Table, wanted: Array, feedback: FeedbackIndex
) -> Iterator[list[Text]]:
    """The texts of the wanted rows (a mask over `facts`, which is in canonical order), as they come."""
    finder = _Finder(facts, wanted)
    for batch in batches:
        rows = finder.rows(batch)
        here = np.flatnonzero(rows >= 0)
        if len(here):
            yield list(_read(batch.take(pa.array(here)), rows[here].tolist(), feedback))


def _read(batch: pa.RecordBatch, rows: Sequence[int], feedback: FeedbackIndex) -> Iterator[Text]:
    names = ("tenant", "run_id", "source", "content")
    columns = (batch[name].to_pylist() for name in names)
    for row, tenant, run, source, content in zip(rows, *columns, strict=True):
        yield Text(row, content, feedback.about(tenant, run, source).edit)


class _Finder:
    """Where in a table of canonical order the rows of a batch lie."""

    def __init__(self, facts: pa.Table, wanted: Array) -> None:
        rows = np.flatnonzero(wanted)
        chosen = facts.select(PLACE).take(pa.array(rows))
        self._places: dict[str, tuple[Array, Array]] = {}
        keys, codes = _keys(chosen)
        offsets = chosen["offset"].to_numpy()
        for code, key in enumerate(keys):
            mine = np.flatnonzero(codes == code)
            self._places[key] = (offsets[mine], rows[mine])

    def rows(self, batch: pa.RecordBatch) -> Array:
        """The row of each row of the batch, −1 where it is not wanted."""
        found = np.full(batch.num_rows, -1, np.int64)
        keys, codes = _keys(pa.Table.from_batches([batch]))
        offsets = batch["offset"].to_numpy()
        for code, key in enumerate(keys):
            known, rows = self._places.get(key, (np.empty(0, np.int64), np.empty(0, np.int64)))
            mine = np.flatnonzero(codes == code)
            at = np.searchsorted(known, offsets[mine])
            inside = at < len(known)
            mine, at = mine[inside], at[inside]
            same = known[at] == offsets[mine]
            found[mine[same]] = rows[at[same]]
        return found


def _keys(places: pa.Table) -> tuple[list[str], Array]:
    """The distinct partitions of rows, and which is each row's."""
    columns = (
        places[name].to_pylist() for name in ("cluster", "topic", "partition", "incarnation")
    )
    known: dict[tuple[Any, ...], int] = {}
    codes = [known.setdefault(key, len(known)) for key in zip(*columns, strict=True)]
    names = [partition_key(c, t, p, i or 0) for c, t, p, i in known]
    return names, np.array(codes, np.int64)


def gather(
    read: Iterator[list[Text]],
    decision: Decision,
    outcome: pa.Table,
    store: DatasetStore,
    folder: Path,
    known: Sequence[Shard],
) -> Gathered:
    """Write the shards of a decided window; those that are `known` are not written again."""
    kept = Spill(_made(folder / "examples"), SCHEMAS[ShardKind.EXAMPLES])
    sides = _Sides(decision, _made(folder / "sides"))
    blocks = _blocks(decision.facts)
    digests: list[bytes] = []
    for batch in read:
        facts = outcome.take(pa.array([text.row for text in batch])).to_pylist()
        for text, fact in zip(batch, facts, strict=True):
            if decision.parts[text.row] != NO_PART:
                content = example(fact, text.content, text.edit).content()
                columns = to_columns(content, ShardKind.EXAMPLES)
                kept.add(f"{blocks[text.row]:08d}", text.row, columns)
                digests.append(bytes.fromhex(digest_of(content)))
            sides.add(text, fact)
    shards = _written(kept.shards(), ShardKind.EXAMPLES, store, known)
    pairs = sides.pairs(_made(folder / "pairs"))
    shards += _written(pairs, ShardKind.PAIRS, store, known)
    return Gathered(
        tuple(shards), content_digest(digests), content_digest(sides.digests), tuple(sides.margins)
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _blocks(facts: pa.Table) -> Array:
    """The shard of each row, numbered in canonical order: a partition's offsets, BLOCK by BLOCK."""
    codes = _keys(facts)[1]
    number = facts["offset"].to_numpy() // BLOCK
    changed = (codes[1:] != codes[:-1]) | (number[1:] != number[:-1])
    return np.cumsum(np.append(np.zeros(min(len(codes), 1), np.int64), changed))


def _written(
    drafts: Iterator[Draft], kind: ShardKind, store: DatasetStore, known: Sequence[Shard]
) -> list[Shard]:
    """Shards of one kind; those of pairs say their split in the draft's name."""
    found: list[Shard] = []
    for number, draft in enumerate(drafts):
        split = Split(draft.name.partition("/")[0]) if kind is ShardKind.PAIRS else None
        name = "-".join([str(kind), *([str(split)] if split else []), f"{number:05d}.parquet"])
        found.append(store.write_shard(draft, name, kind, split, known))
    return found


class _Sides:
    """The two answers of each pair, until both have come; then the digests of the pairs' contents, and their
    splits and margins.
    """

    _SCHEMA = pa.schema(
        [(name, pa.string()) for name in ("row_id", "label_row", "content", "edit")]
    )

    def __init__(self, decision: Decision, folder: Path) -> None:
        self._decision = decision
        self._spill = Spill(folder, self._SCHEMA)
        self.digests: list[bytes] = []
        self.margins: list[tuple[str, float]] = []
        self._of_row: dict[int, list[int]] = defaultdict(list)
        for pair, (chosen, rejected) in enumerate(
            zip(decision.pairs.chosen.tolist(), decision.pairs.rejected.tolist(), strict=True)
        ):
            self._of_row[chosen].append(2 * pair)
            self._of_row[rejected].append(2 * pair + 1)

    def add(self, text: Text, facts: Mapping[str, Any]) -> None:
        """Keep a row's text for the pairs that it belongs to. An edited row's worse side is the run's own."""
        for place in self._of_row.get(text.row, ()):
            pair, worse = divmod(place, 2)
            row = {
                "row_id": facts["row_id"],
                "label_row": None if worse else facts["label"],
                "content": text.content,
                "edit": None if worse else text.edit,
            }
            part = PARTS[self._decision.pair_parts[pair]]
            self._spill.add(f"{part}/{pair // _PAIRS:08d}", place, row)

    def pairs(self, folder: Path) -> Iterator[Draft]:
        """The pairs, shard by shard. One whose answers turn out alike, or not asked the same, is none."""
        spill = Spill(folder, SCHEMAS[ShardKind.PAIRS])
        for draft in self._spill.shards():
            sides = iter(draft.table.to_pylist())
            margins = self._margins_of(draft.name)
            for (better, worse), margin in zip(
                zip(sides, sides, strict=True), margins, strict=True
            ):
                found = _pair(better, worse, margin, Split(draft.name.partition("/")[0]))
                if found is not None:
                    content = found.content()
                    spill.add(draft.name, len(self.digests), to_columns(content, ShardKind.PAIRS))
                    self.digests.append(bytes.fromhex(digest_of(content)))
                    self.margins.append((str(found.split), margin))
        yield from spill.shards()

    def _margins_of(self, shard: str) -> list[float]:
        """Those of a shard's pairs, in order."""
        split, number = shard.split("/")
        here = np.arange(len(self._decision.pair_parts)) // _PAIRS == int(number)
        here &= self._decision.pair_parts == PARTS.index(Split(split))
        margins: list[float] = self._decision.pairs.margin[here].tolist()
        return margins


def _pair(
    better: Mapping[str, Any], worse: Mapping[str, Any], margin: float, split: Split
) -> Pair | None:
    try:
        asked, chosen = answered(turns_of(better["content"], better["edit"]))
        same, rejected = answered(turns_of(worse["content"], worse["edit"]))
    except ValueError:
        return None
    if asked != same or chosen == rejected:
        return None
    return Pair(
        chosen_row=better["row_id"],
        rejected_row=worse["row_id"],
        label_row=better["label_row"],
        split=split,
        margin=margin,
        messages=tuple(asked),
        chosen=tuple(chosen),
        rejected=tuple(rejected),
        tools=tuple(tools_of(better["content"])),
    )


def golden_cases(read: Iterator[list[Text]], outcome: pa.Table) -> list[GoldenCase]:
    """The cases of chosen rows, in canonical order."""
    found = sorted(text for batch in read for text in batch)
    facts = outcome.take(pa.array([text.row for text in found], pa.int64())).to_pylist()
    return [golden_case(f, text.content, text.label) for f, text in zip(facts, found, strict=True)]
