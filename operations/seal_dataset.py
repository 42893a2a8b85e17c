"""Load a window of rows, seal it, save the dataset; freeze a first golden set on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version

from processors.curation.seal.seal import Sealed, choose_golden, seal
from schemas.datasets import GoldenCase, Manifest, Recipe, Split
from schemas.errors import Code, Unrecoverable
from schemas.events import FEEDBACK
from schemas.rows import Row
from schemas.telemetry import Meter, Metric
from stores.control import registry
from stores.control.database import Database
from stores.datasets.parquet import DatasetStore
from stores.ledger.delta import DeltaLedgerReader

_LIBRARIES = ("lorikeet", "pyarrow", "scikit-learn", "numpy", "rensa")


class SealDataset:
    """Rows up to stated offsets and a recipe in; a sealed dataset out."""

    def __init__(
        self, database: Database, ledger: DeltaLedgerReader, store: DatasetStore, meter: Meter
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._store = store
        self._meter = meter

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

        Raises Unrecoverable(DATASET_TOO_SMALL) with the figures.
        """
        rows = [
            row
            for row in self._ledger.rows(tenant=tenant, offsets=offsets)
            if row.model == model or row.type == FEEDBACK
        ]
        golden_digest, golden = self._golden(tenant, model, recipe, offsets, rows, now)
        sealed = seal(rows, recipe, offsets, golden)
        if len(sealed.examples) < recipe.min_examples:
            left_out = ", ".join(f"{n} {why}" for why, n in sealed.dropped.items()) or "none"
            raise Unrecoverable(
                Code.DATASET_TOO_SMALL,
                f"{len(sealed.examples)} of {recipe.min_examples}; left out: {left_out}",
            )
        manifest = self._store.write(
            sealed.examples,
            self._manifest(tenant, model, recipe, offsets, sealed, golden_digest),
        )
        self._register(manifest, now, job_id)
        return manifest

    def _golden(
        self,
        tenant: str,
        model: str,
        recipe: Recipe,
        offsets: Mapping[str, int],
        rows: Sequence[Row],
        now: datetime,
    ) -> tuple[str | None, list[GoldenCase]]:
        known = self._database.read(lambda c: registry.golden(c, tenant, model))
        if known is not None:
            return str(known["digest"]), self._store.golden(known["digest"])
        cases = choose_golden(rows, recipe, offsets)
        if not cases:
            return None, []
        digest, uri = self._store.write_golden(cases)
        self._database.write(
            lambda c: registry.add_golden(
                c, now, tenant=tenant, model=model, digest=digest, uri=uri, cases=len(cases)
            )
        )
        return digest, cases

    def _manifest(
        self,
        tenant: str,
        model: str,
        recipe: Recipe,
        offsets: Mapping[str, int],
        sealed: Sealed,
        golden: str | None,
    ) -> Manifest:
        earlier = self._database.read(lambda c: registry.dataset_list(c, tenant, model))
        same = next((d for d in earlier if d["digest"] == sealed.digest), None)
        last = earlier[-1] if earlier else None
        return Manifest(
            digest=sealed.digest,
            version=str(same["version"]) if same else _next(last["version"] if last else None),
            tenant=tenant,
            model=model,
            recipe=recipe,
            offsets=dict(offsets),
            counts={str(part): sealed.count(part) for part in Split},
            dropped=sealed.dropped,
            golden=golden,
            files={},
            libraries={name: version(name) for name in _LIBRARIES},
            parent=str(last["digest"]) if last and not same else None,
        )

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
                parent=manifest.parent,
                job_id=job_id,
            )
        )
        for split, count in manifest.counts.items():
            self._meter.set(Metric.DATASET_EXAMPLES, count, split=split)


def _next(last: str | None) -> str:
    """The next minor version: a new window under the same recipe."""
    return f"1.{int(last.split('.')[1]) + 1}.0" if last else "1.0.0"
