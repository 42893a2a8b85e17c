"""Read a model's window from the ledger as columns, batch by batch, its prompts on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from processors.curation.domains.model import DomainModel
from processors.curation.seal.decide import Window
from processors.curation.seal.feedback import FeedbackIndex, collect_feedback
from processors.curation.seal.minhash import RensaLsh
from processors.curation.seal.near import Sketches, merge, sketch
from processors.curation.seal.survey import COLUMNS, SAID, survey
from processors.curation.seal.window import CANONICAL, covered, erased
from schemas.datasets import GoldenCase, Recipe
from schemas.events import EXECUTION, FEEDBACK, PLAN
from schemas.rows import Disposition, Row
from stores.datasets.texts import Texts
from stores.ledger.port import Batches
from stores.ledger.scan import where
from stores.ledger.schema import FILE_SCHEMA, to_row, to_table

_KEPT = [str(d) for d in (Disposition.ACCEPTED, Disposition.REVIEW, Disposition.REJECTED)]
Subjects = Sequence[tuple[str | None, str]]
Order = np.ndarray[Any, np.dtype[np.int64]]


class Said(NamedTuple):
    """The feedback of a window, and who is to be forgotten: (tenant, subject as JSON)."""

    feedback: FeedbackIndex
    subjects: Subjects


def read_feedback(
    scan: Batches, tenant: str, offsets: Mapping[str, int], subjects: Subjects = ()
) -> Said:
    """What people and judges said below the offsets; erasures count wherever they lie.

    `subjects` are those that are known otherwise, for instance because Kafka no longer has them.
    """
    wanted = where(tenant=tenant, type=FEEDBACK, disposition=str(Disposition.ACCEPTED))
    rows: list[Row] = []
    found = set(subjects)
    for batch in scan.batches(Row._fields, wanted):
        below = covered(batch, offsets)
        for record, inside in zip(batch.to_pylist(), below.tolist(), strict=True):
            if record["subject"]:
                found.add((record["tenant"], record["subject"]))
            elif inside:
                rows.append(to_row(record))
    known = sorted(found)
    gone = erased(to_table(rows), known)
    kept = (row for row, out in zip(rows, gone.tolist(), strict=True) if not out)
    return Said(collect_feedback(kept), known)


def survey_window(
    scan: Batches,
    tenant: str,
    model: str,
    recipe: Recipe,
    offsets: Mapping[str, int],
    said: Said,
    folder: Path,
    *,
    domains: DomainModel | None = None,
    golden: Sequence[GoldenCase] = (),
    generations: Mapping[str, int] | None = None,
) -> Window:
    """The window of a model's runs and plans below the offsets; `folder` keeps the prompts."""
    engine = RensaLsh(recipe.near_duplicate)
    texts = Texts(folder / "prompts")
    parts, sketches = [_nothing()], [sketch([], engine)]
    for batch in runs(scan, tenant, model, COLUMNS):
        inside = batch.filter(pa.array(covered(batch, offsets)))
        if inside.num_rows:
            found = survey(_with_incarnation(inside), said.feedback, domains)
            parts.append(pa.Table.from_batches([found.facts]))
            sketches.append(sketch(found.prompts, engine))
            texts.add(found.prompts)
    facts = pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()
    parts.clear()
    order = _canonical(facts)
    return Window(
        facts=facts.take(pa.array(order)),
        sketches=_ordered(sketches, order),
        read=texts.reader(order),
        feedback=said.feedback,
        subjects=said.subjects,
        golden=golden,
        generations=generations,
    )


def _ordered(parts: list[Sketches], order: Order) -> Sketches:
    """The sketches of all parts, which are given up: no more than two of the three are held at once."""
    whole = merge(parts)
    parts.clear()
    return whole.take(order)


def runs(
    scan: Batches, tenant: str, model: str, columns: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """A model's runs and plans, in no order; duplicates and dead letters are none."""
    wanted = where(tenant=tenant, model=model, type=[EXECUTION, PLAN], disposition=_KEPT)
    return scan.batches(columns, wanted)


def _with_incarnation(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows from before incarnations were counted are of the first one."""
    place = batch.schema.get_field_index("incarnation")
    filled = pc.fill_null(batch["incarnation"], pa.scalar(0, batch["incarnation"].type))
    return batch.set_column(place, "incarnation", filled)


def _canonical(facts: pa.Table) -> Order:
    keys = [(name, "ascending") for name in CANONICAL]
    found = pc.sort_indices(facts, sort_keys=keys).to_numpy()
    return np.asarray(found, np.int64)


def _nothing() -> pa.Table:
    known = [FILE_SCHEMA.field(name) for name in COLUMNS if name != "content"]
    return pa.schema([*known, *SAID]).empty_table()
