"""Seal a window of a model: survey it, decide, gather the texts, save; freeze a first golden set on the way."""

from __future__ import annotations

import errno
import itertools
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from operations.gather_dataset import COLUMNS, Gathered, gather, golden_cases, texts
from operations.survey_window import Said, read_feedback, runs, survey_window
from operations.train_domains import load
from processors.curation.domains.model import DomainModel
from processors.curation.seal.decide import NO_PART, Decision, Window, decide
from processors.curation.seal.figures import figures
from processors.curation.seal.golden import choose_golden
from processors.curation.seal.identity import dataset_digest
from processors.curation.seal.outcome import FATES, PARTS, outcome
from processors.curation.seal.refusal import refusal
from processors.curation.seal.reserve import row_ids
from schemas.datasets import GoldenCase, Manifest, Recipe, Shard, Split
from schemas.digests import digest_of
from schemas.errors import Code, NotReady, Unrecoverable
from schemas.telemetry import Meter, Metric
from stores.control import registry
from stores.control.database import Database
from stores.datasets.columns import INDEX
from stores.datasets.store import DatasetStore
from stores.ledger.place import Place
from stores.ledger.port import Batches
from stores.ledger.scan import Scan

_READS = 5
_PREFIX, _FORGOTTEN_SECONDS = "lorikeet-seal-", 24 * 3600.0
_LIBRARIES = ("lorikeet", "pyarrow", "scikit-learn", "numpy", "scipy", "rensa")


class _Sources(NamedTuple):
    """What a seal reads."""

    scan: Batches
    tenant: str
    model: str
    said: Said


class SealDataset:
    """Rows up to stated offsets and a recipe in; a sealed dataset out."""

    def __init__(
        self,
        database: Database,
        ledger: Path | Place,
        store: DatasetStore,
        meter: Meter,
        scratch: Path | None = None,
    ) -> None:
        """`scratch` takes what does not fit in memory, some 3 GB for a million rows; else the system's."""
        self._database = database
        self._ledger = ledger
        self._store = store
        self._meter = meter
        self._scratch = scratch

    def __call__(
        self,
        tenant: str,
        model: str,
        recipe: Recipe,
        offsets: Mapping[str, int],
        now: datetime,
        *,
        job_id: str | None = None,
    ) -> Manifest:
        """Seal; the same arguments give the same dataset.

        Raises Unrecoverable with the figures if it would be of no use: DATASET_TOO_SMALL,
        DATASET_ONE_SIDED, DATASET_OWN_OUTPUT or DATASET_UNSPLIT.
        """
        for attempt in itertools.count(1):
            try:
                return self._seal(tenant, model, recipe, offsets, now, job_id)
            except NotReady as error:  # an erasure writes the ledger anew meanwhile
                if error.code is not Code.LEDGER_REWRITTEN or attempt == _READS:
                    raise
        raise AssertionError  # pragma: no cover - count has no end

    def _seal(
        self,
        tenant: str,
        model: str,
        recipe: Recipe,
        offsets: Mapping[str, int],
        now: datetime,
        job_id: str | None,
    ) -> Manifest:
        scan = Scan(self._ledger)
        said = read_feedback(scan, tenant, offsets)
        sources = _Sources(scan, tenant, model, said)
        domains = load(self._store.objects, recipe.domain_model) if recipe.domain_model else None
        with _spill(self._scratch) as spill:
            window = self._survey(sources, recipe, offsets, spill, domains)
            golden, cases = self._golden(sources, window, recipe)
            decision = decide(replace(window, golden=cases), recipe)
            complaint = refusal(decision, recipe)
            if complaint is not None:
                raise Unrecoverable(*complaint)
            golden = golden or self._freeze(tenant, model, cases, now)
            table = outcome(decision)
            listed = self._database.read(lambda c: registry.dataset_list(c, tenant, model))
            last = self._last(listed, recipe, offsets)
            gathered = self._gather(sources, decision, table, spill, last)
        name = next_version(last, recipe, offsets, {known["version"] for known in listed})
        manifest = _manifest(
            sources, recipe, offsets, decision, table, gathered, golden, last, name
        )
        index = table.filter(pa.array(decision.parts != NO_PART)).select(INDEX.names)
        manifest = self._store.write(manifest, index, table.select(FATES))
        self._register(manifest, now, job_id)
        return manifest

    def _survey(
        self,
        sources: _Sources,
        recipe: Recipe,
        offsets: Mapping[str, int],
        folder: Path,
        domains: DomainModel | None,
    ) -> Window:
        return survey_window(
            sources.scan,
            sources.tenant,
            sources.model,
            recipe,
            offsets,
            sources.said,
            folder,
            domains=domains,
            generations=self._generations(sources.tenant, sources.model),
        )

    def _generations(self, tenant: str, model: str) -> dict[str, int]:
        """How many generations of own output each adapter of the model stands on."""
        sealed = self._database.read(lambda c: registry.dataset_list(c, tenant, model))
        depths = {dataset["digest"]: dataset["generation"] for dataset in sealed}
        known = self._database.read(lambda c: registry.every(c, tenant, model))
        return {
            version.adapter_digest: 1 + depths[version.dataset_digest]
            for version in known
            if version.dataset_digest in depths
        }

    def _golden(
        self, sources: _Sources, window: Window, recipe: Recipe
    ) -> tuple[str | None, list[GoldenCase]]:
        """The model's golden set with its digest; without one, what its first trusted examples give."""
        known = self._database.read(lambda c: registry.golden(c, sources.tenant, sources.model))
        if known is not None:
            return str(known["digest"]), self._store.golden(known["digest"])
        return None, self._first_golden(sources, window, recipe)

    def _freeze(
        self, tenant: str, model: str, cases: Sequence[GoldenCase], now: datetime
    ) -> str | None:
        """Make them the model's golden set: its digest. A window that was refused freezes none."""
        if not cases:
            return None
        digest, uri = self._store.write_golden(cases)
        facts = {"tenant": tenant, "model": model, "digest": digest, "uri": uri}
        self._database.write(lambda c: registry.add_golden(c, now, **facts, cases=len(cases)))
        return digest

    def _first_golden(self, sources: _Sources, window: Window, recipe: Recipe) -> list[GoldenCase]:
        if not recipe.golden_size or not window.facts.num_rows:
            return []
        wanted = np.zeros(window.facts.num_rows, np.bool_)
        wanted[choose_golden(window, recipe)] = True
        found = texts(_contents(sources), window.facts, wanted, sources.said.feedback)
        names = pa.array(row_ids(window.facts), pa.string())
        return golden_cases(found, window.facts.append_column("row_id", names))

    def _last(
        self, listed: Sequence[Mapping[str, Any]], recipe: Recipe, offsets: Mapping[str, int]
    ) -> Manifest | None:
        """The dataset of the same window, where it is sealed again after an erasure; else the newest."""
        known = [self._store.manifest(d["digest"]) for d in listed if d["erased_by"] is None]
        same = [m for m in known if (m.recipe, m.offsets) == (recipe, dict(offsets))]
        return same[-1] if same else known[-1] if known else None

    def _gather(
        self,
        sources: _Sources,
        decision: Decision,
        table: pa.Table,
        folder: Path,
        last: Manifest | None,
    ) -> Gathered:
        wanted = decision.parts != NO_PART
        wanted[decision.pairs.chosen] = wanted[decision.pairs.rejected] = True
        found = texts(_contents(sources), decision.facts, wanted, sources.said.feedback)
        known: Sequence[Shard] = last.shards if last else ()
        return gather(found, decision, table, self._store, folder, known)

    def _register(self, manifest: Manifest, now: datetime, job_id: str | None) -> None:
        self._database.write(
            lambda c: registry.add_dataset(
                c,
                now,
                digest=manifest.digest,
                tenant=manifest.tenant,
                model=manifest.model,
                version=manifest.version,
                uri=self._store.uri(manifest.digest),
                counts=manifest.counts,
                generation=manifest.generation,
                parent=manifest.parent,
                job_id=job_id,
            )
        )
        for split, count in manifest.counts.items():
            self._meter.set(Metric.DATASET_EXAMPLES, count, split=split)


@contextmanager
def _spill(scratch: Path | None) -> Iterator[Path]:
    """A folder for one seal; those that killed ones left a day ago go too."""
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
        for left in scratch.glob(f"{_PREFIX}*"):
            if time.time() - left.stat().st_mtime > _FORGOTTEN_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=scratch) as name:
            yield Path(name)
    except OSError as error:
        if error.errno != errno.ENOSPC and "No space left" not in str(error):
            raise
        raise Unrecoverable(Code.DISK_FULL, str(scratch or tempfile.gettempdir())) from error


def _contents(sources: _Sources) -> Iterator[pa.RecordBatch]:
    return runs(sources.scan, sources.tenant, sources.model, COLUMNS)


def _manifest(
    sources: _Sources,
    recipe: Recipe,
    offsets: Mapping[str, int],
    decision: Decision,
    table: pa.Table,
    gathered: Gathered,
    golden: str | None,
    last: Manifest | None,
    name: str,
) -> Manifest:
    digest = dataset_digest(recipe, golden, gathered.examples, gathered.pairs)
    return Manifest(
        digest=digest,
        version=name,
        tenant=sources.tenant,
        model=sources.model,
        recipe=recipe,
        offsets=dict(offsets),
        counts=_counts(decision),
        pairs={
            str(part): sum(shard.rows for shard in gathered.shards if shard.split is part)
            for part in Split
        },
        dropped=decision.fates.counts(),
        statistics=figures(decision, table, gathered.margins, last.statistics if last else None),
        golden=golden,
        erased=digest_of([list(subject) for subject in sources.said.subjects]),
        generation=decision.generation,
        shards=gathered.shards,
        libraries={name: version(name) for name in _LIBRARIES},
        parent=last.digest if last else None,
    )


def _counts(decision: Decision) -> dict[str, int]:
    return {str(part): int(n) for part, n in zip(PARTS, decision.split.sizes, strict=True)}


def next_version(
    last: Manifest | None, recipe: Recipe, offsets: Mapping[str, int], taken: Collection[str]
) -> str:
    """Major if the recipe changed its meaning, minor for another window, patch for the same one again.

    `taken` are the versions of all datasets of the model: one that was withdrawn keeps its version.
    """
    name = list(map(int, last.version.split("."))) if last else [0, 0, 0]
    step = 0 if last is None or last.recipe != recipe else 1 if last.offsets != dict(offsets) else 2
    while (found := ".".join(map(str, _raised(name, step)))) in taken:
        name = _raised(name, step)
    return found


def _raised(name: Sequence[int], step: int) -> list[int]:
    return [*name[:step], name[step] + 1, *[0] * (2 - step)]
