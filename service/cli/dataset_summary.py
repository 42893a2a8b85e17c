"""A sealed dataset in a few lines; its card and its manifest say the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from schemas.datasets import Manifest, Split
from service.cli.options import utc
from service.cli.partitions import partition_of
from service.cli.payloads import visible
from stores.control.registry import AdapterVersion

_OUTSIDE = "outside_window"
_NAME = 13
_QUANTILES = {"0.05": "5 %", "0.5": "median", "0.95": "95 %"}


def summary(
    manifest: Manifest, sealed: datetime | None, trained: Sequence[AdapterVersion]
) -> Iterator[str]:
    """A line a fact. `sealed` is when, `trained` the versions that were trained on it."""
    for name, said in _facts(manifest, sealed, trained):
        yield f"{name:<{_NAME}}{visible(said)}"


def _facts(
    manifest: Manifest, sealed: datetime | None, trained: Sequence[AdapterVersion]
) -> Iterator[tuple[str, str]]:
    yield "dataset", f"{manifest.version} of {manifest.tenant}/{manifest.model}"
    yield "digest", manifest.digest
    yield "sealed", utc(sealed) if sealed else "–"
    yield "examples", _examples(manifest)
    yield "pairs", _by_split(manifest.pairs)
    dropped = {n: count for n, count in manifest.dropped.items() if n != _OUTSIDE}
    yield "left out", _counts(dropped) or "none"
    yield "not counted", f"{manifest.dropped.get(_OUTSIDE, 0):,} outside the window"
    yield "score", _score(manifest)
    yield "parent", manifest.parent or "none"
    yield "golden", manifest.golden or "none"
    yield "offsets", _offsets(manifest.offsets) or "none"
    adapters = ", ".join(f"{v.tenant}/{v.model} {v.version} ({v.stage})" for v in trained)
    yield "trained", adapters or "no adapter"


def _examples(manifest: Manifest) -> str:
    candidates = manifest.statistics.get("candidates")
    of = "" if candidates is None else f", of {candidates:,} candidates"
    return f"{_by_split(manifest.counts)}{of}"


def _by_split(counts: Mapping[str, int]) -> str:
    parts = ", ".join(f"{counts.get(split, 0):,} {split}" for split in map(str, Split))
    return f"{sum(counts.values()):,}: {parts}"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{count:,} {name}" for name, count in ordered)


def _score(manifest: Manifest) -> str:
    found = manifest.statistics.get("numbers", {}).get("score", {"known": 0})
    if not found["known"]:
        return "–"
    known = {name: found["quantiles"][q] for q, name in _QUANTILES.items()}
    return ", ".join(f"{name} {value:.1f}" for name, value in known.items())


def _offsets(offsets: Mapping[str, int]) -> str:
    """Each topic that has records, with the next offset of each of its partitions."""
    known = sorted((*partition_of(key).split("[", 1), at) for key, at in offsets.items() if at)
    topics = groupby(known, key=lambda each: each[0])
    return "; ".join(
        f"{topic} " + ", ".join(f"[{number} {at:,}" for _, number, at in group)
        for topic, group in topics
    )
