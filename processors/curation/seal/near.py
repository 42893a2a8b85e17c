"""Exact and near duplicates among many texts, in columns.

1. `sketch` each text: 16 bytes that identify it, and its MinHash signature. In any batches, in any
   number of processes; `merge` puts the parts together in canonical order.
2. `find_duplicates`: signatures propose pairs, the exact Jaccard similarity of word 3-grams decides,
   on texts read again: only those that resemble another are. Greedy in order of preference: a text
   that resembles one already kept is dropped. Clusters join what resembles each other, kept or not,
   so that the split can keep relatives together.

An example costs 248 bytes at a threshold of 0.8 (16 identity, 4 size, 128 slots, 4 a band of 25). With
what is held twice while parts are merged and duplicates found, a process was measured to grow by 490
bytes an example for a million; golden cases add another 248, for then all is copied once more. Texts
are held about two million grams at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from processors.curation.seal import minhash
from processors.curation.seal.greedy import Fate, kept_relative
from processors.curation.seal.jaccard import Read
from processors.curation.seal.links import Links
from processors.curation.seal.minhash import MinHashLsh, Signatures
from processors.curation.seal.shingles import Array, chunks, shingles

_DIGEST_BYTES = 16


class Sketches(NamedTuple):
    """What is kept of n texts. `digests` (n, 2) uint64: BLAKE2b of the folded text, 128 bits.

    `sizes` (n,) int32: the number of distinct grams.
    """

    digests: Array
    sizes: Array
    signatures: Signatures

    def take(self, rows: Array) -> Sketches:
        """Those of some texts, in their order."""
        bands, slots = self.signatures
        return Sketches(self.digests[rows], self.sizes[rows], Signatures(bands[rows], slots[rows]))


class Duplicates(NamedTuple):
    """What became of n examples, in canonical order.

    `fates` uint8: see `Fate`. `kept` int64: the row of the kept example that a duplicate duplicates,
    −1 for what is kept itself and for what resembles a golden case. `clusters` int64: the smallest row
    of the cluster. `crowded`: how many distinct texts were kept without having been compared with all
    that the signatures proposed, for there were too many (see `Links`).
    """

    fates: Array
    kept: Array
    clusters: Array
    crowded: int


def sketch(texts: Iterable[str], engine: MinHashLsh) -> Sketches:
    """Sketches of folded texts (see `fold`), in their order."""
    return merge([_sketched([], engine), *(_sketched(chunk, engine) for chunk in chunks(texts))])


def merge(parts: Sequence[Sketches]) -> Sketches:
    """The sketches of several parts, one after the other."""
    return Sketches(
        np.concatenate([part.digests for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        minhash.merged([part.signatures for part in parts]),
    )


def _sketched(texts: Sequence[str], engine: MinHashLsh) -> Sketches:
    """A text that comes again within the chunk is worked on once."""
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    again = np.fromiter(map(places.__getitem__, texts), np.int64, len(texts))
    sets = shingles(list(places))
    digests = np.frombuffer(b"".join(map(_digest, places)), "<u8").reshape(-1, 2)
    signed = engine.sign(sets)
    sizes = sets.sizes.astype(np.int32)
    return Sketches(
        digests[again], sizes[again], Signatures(signed.bands[again], signed.slots[again])
    )


def _digest(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def find_duplicates(
    sketches: Sketches,
    ranks: Array,
    read: Read,
    engine: MinHashLsh,
    forbidden: Sequence[str] = (),
) -> Duplicates:
    """Which examples are kept, which duplicate another, and the clusters.

    `ranks` (n,) integers: of two that are alike the lower one is kept, of equal ones the earlier row.
    `read` gives the folded texts of rows. `forbidden` are folded texts that nothing may resemble.
    The result depends on the texts, the ranks and the engine alone.
    """
    cases = list(dict.fromkeys(forbidden))
    golden = len(cases)
    whole = merge([sketch(cases, engine), sketches]) if cases else sketches
    order = np.concatenate([np.arange(golden), golden + np.argsort(ranks, kind="stable")])
    numbers, rows = _distinct(whole.digests, order)
    links = Links(engine, whole.signatures, rows, whole.sizes, _with_cases(read, cases), golden)
    links.search()
    return _outcome(links, numbers, rows, golden)


def _with_cases(read: Read, cases: Sequence[str]) -> Read:
    """Reads golden cases too: they are the rows before the first example."""

    def read_all(rows: Array) -> Sequence[str]:
        examples = rows[rows >= len(cases)]
        held = [cases[row] for row in rows[rows < len(cases)].tolist()]
        return [*held, *read(examples - len(cases))] if len(examples) else held

    return read_all


def _distinct(digests: Array, order: Array) -> tuple[Array, Array]:
    """The number of each row's text, and the row of each text: numbered as they come in `order`."""
    ordered = digests[order]
    by = np.lexsort((ordered[:, 1], ordered[:, 0]))  # stable: the first of equals stays first
    ordered = ordered[by]
    fresh = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])[: len(by)]
    first = by[fresh]
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    numbers = np.empty(len(order), np.int64)
    numbers[order[by]] = number[np.cumsum(fresh) - 1]
    return numbers, order[np.sort(first)]


def _outcome(links: Links, numbers: Array, rows: Array, golden: int) -> Duplicates:
    """From texts back to examples. Copies share their text's fate; of a kept one the first stays."""
    mine = numbers[golden:]
    relative = kept_relative(links.fates, links.left, links.right)
    stands_for = np.where(relative >= 0, relative, np.arange(len(rows)))
    kept = rows[stands_for[mine]] - golden
    fates = links.fates[mine]
    fates[mine < golden] = Fate.GOLDEN
    first = rows[mine] - golden == np.arange(len(mine))
    fates[(fates == Fate.KEPT) & ~first] = Fate.EXACT_DUPLICATE
    kept[(fates == Fate.KEPT) | (fates == Fate.GOLDEN)] = -1
    return Duplicates(fates, kept, _smallest(links.clusters[mine], len(rows)), links.crowded)


def _smallest(clusters: Array, count: int) -> Array:
    """The smallest row of each row's cluster."""
    first = np.full(count, len(clusters))
    np.minimum.at(first, clusters, np.arange(len(clusters)))
    return first[clusters]
