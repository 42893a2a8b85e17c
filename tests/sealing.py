"""Rows to a dataset without a ledger on a disk: the same steps, over rows that are held."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from operations.gather_dataset import COLUMNS, gather, golden_cases, texts
from operations.survey_window import Said, read_feedback, runs, survey_window
from processors.curation.seal.decide import NO_PART, Decision, Window, decide
from processors.curation.seal.golden import choose_golden as choose
from processors.curation.seal.identity import dataset_digest
from processors.curation.seal.outcome import outcome
from processors.curation.seal.reserve import row_ids
from schemas.datasets import Example, GoldenCase, Manifest, Pair, Recipe, Shard, Split
from schemas.digests import digest_of
from schemas.rows import Row
from stores.artifacts.objects import ObjectFolder
from stores.datasets.columns import INDEX
from stores.datasets.store import DatasetStore
from stores.ledger.schema import to_table

TENANT, MODEL = "default", "m"


@dataclass(frozen=True)
class Held:
    """Rows as the ledger hands them out, so many at a time."""

    table: pa.Table
    size: int = 8_192

    def batches(
        self, columns: Sequence[str], wanted: pc.Expression | None = None
    ) -> Iterator[pa.RecordBatch]:
        """See `Batches`."""
        held = ds.dataset(self.table)
        yield from held.to_batches(columns=list(columns), filter=wanted, batch_size=self.size)


@dataclass(frozen=True)
class Sealed:
    """What a seal gave."""

    examples: tuple[Example, ...]
    pairs: tuple[Pair, ...]
    dropped: dict[str, int]
    digest: str
    shards: tuple[Shard, ...]

    def count(self, part: Split) -> int:
        """How many examples a split has."""
        return sum(example.split is part for example in self.examples)


def held(rows: Iterable[Row], size: int = 8_192) -> Held:
    """The rows, all of one model unless they say otherwise."""
    return Held(to_table([row if row.model else row._replace(model=MODEL) for row in rows]), size)


@dataclass(frozen=True)
class Opened:
    """A window that was surveyed, and what to read its texts with."""

    source: Held
    said: Said
    window: Window

    def texts(self, facts: pa.Table, wanted: np.ndarray[tuple[int], np.dtype[np.bool_]]):  # type: ignore[no-untyped-def]
        """The texts of the wanted rows."""
        found = runs(self.source, TENANT, MODEL, COLUMNS)
        return texts(found, facts, wanted, self.said.feedback)


def opened(source: Held, recipe: Recipe, offsets: Mapping[str, int], folder: Path) -> Opened:
    """Survey a window."""
    said = read_feedback(source, TENANT, offsets)
    return Opened(source, said, survey_window(source, TENANT, MODEL, recipe, offsets, said, folder))


def decided(
    rows: Iterable[Row],
    recipe: Recipe,
    offsets: Mapping[str, int],
    golden: Sequence[GoldenCase] = (),
    generations: Mapping[str, int] | None = None,
) -> Decision:
    """What becomes of each row."""
    with tempfile.TemporaryDirectory() as folder:
        found = opened(held(rows), recipe, offsets, Path(folder))
        window = replace(found.window, golden=golden, generations=generations)
        return decide(window, recipe)


def seal(
    rows: Iterable[Row],
    recipe: Recipe,
    offsets: Mapping[str, int],
    golden: Sequence[GoldenCase] = (),
    *,
    size: int = 8_192,
) -> Sealed:
    """Seal a window; `size` is how many rows come at a time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = opened(held(rows, size), recipe, offsets, folder)
        decision = decide(replace(found.window, golden=golden), recipe)
        wanted = decision.parts != NO_PART
        wanted[decision.pairs.chosen] = wanted[decision.pairs.rejected] = True
        store = DatasetStore(ObjectFolder(f"file://{folder / 'objects'}"))
        gathered = gather(
            found.texts(decision.facts, wanted), decision, outcome(decision), store, folder, ()
        )
        digest = dataset_digest(
            recipe, digest_of([case.case_id for case in golden]), gathered.examples, gathered.pairs
        )
        manifest = Manifest(
            digest=digest,
            version="1.0.0",
            tenant=TENANT,
            model=MODEL,
            recipe=recipe,
            offsets=dict(offsets),
            counts={},
            pairs={},
            dropped={},
            statistics={},
            golden=None,
            erased="",
            shards=gathered.shards,
            libraries={},
        )
        table = outcome(decision)
        index = table.filter(pa.array(decision.parts != NO_PART)).select(INDEX.names)
        store.write(manifest, index, table)
        return Sealed(
            tuple(store.examples(digest)),
            tuple(store.pairs(digest)),
            decision.fates.counts(),
            digest,
            gathered.shards,
        )


def choose_golden(
    rows: Iterable[Row], recipe: Recipe, offsets: Mapping[str, int]
) -> list[GoldenCase]:
    """A model's first golden set."""
    with tempfile.TemporaryDirectory() as folder:
        found = opened(held(rows), recipe, offsets, Path(folder))
        facts = found.window.facts
        wanted = np.zeros(facts.num_rows, np.bool_)
        wanted[choose(found.window, recipe)] = True
        names = pa.array(row_ids(facts), pa.string())
        return golden_cases(found.texts(facts, wanted), facts.append_column("row_id", names))
