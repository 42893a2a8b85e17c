"""However a window is read, its shards are the same, byte by byte."""

from __future__ import annotations

import random
from typing import Any

import pytest

from schemas.datasets import Recipe, ShardKind
from tests.processors.small import OFFSETS, answer, edited, prompt, run, user
from tests.processors.window import RECIPE, SealedWindow, sealed_window
from tests.sealing import Sealed, seal
from tests.support import call


@pytest.fixture(scope="module")
def window() -> SealedWindow:
    return sealed_window()


def rows() -> list[Any]:
    """Four blocks of offsets in two partitions, with pairs and edits among them."""
    places = [(n % 2, n // 2 * 9_000) for n in range(60)]
    found = [
        run(
            n,
            user(prompt(n % 50)),
            answer(call(n=n)),
            prompt_digest=f"p{n % 50}",
            quality=90.0 if n < 50 else 5.0,
        )
        for n in range(60)
    ]
    placed = [
        row._replace(partition=p, offset=o) for row, (p, o) in zip(found, places, strict=True)
    ]
    return [*placed, *(edited(n, n, f"right {n}") for n in range(0, 50, 7))]


FAR = dict.fromkeys(OFFSETS, 10**9)


def sealed(size: int, seed: int = 0) -> Sealed:
    found = rows()
    random.Random(seed).shuffle(found)
    return seal(found, Recipe(), FAR, size=size)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_size_of_a_batch_shows_nowhere(size: int) -> None:
    whole = sealed(8_192)
    kinds = [shard.kind for shard in whole.shards]
    assert kinds.count(ShardKind.EXAMPLES) == 8
    assert ShardKind.PAIRS in kinds
    assert len(whole.pairs) > 10
    assert sealed(size, seed=size) == whole


def test_the_window_s_shards_are_the_same_in_small_batches(window: SealedWindow) -> None:
    found = seal(window.rows, RECIPE, window.offsets, size=251)
    assert found.shards == window.sealed.shards
    assert found == window.sealed


def test_shards_are_in_canonical_order_and_their_names_count_them(window: SealedWindow) -> None:
    shards = window.sealed.shards
    examples = [shard for shard in shards if shard.kind is ShardKind.EXAMPLES]
    pairs = [shard for shard in shards if shard.kind is ShardKind.PAIRS]
    assert shards == (*examples, *pairs)
    assert [s.name for s in examples] == [f"examples-{n:05d}.parquet" for n in range(3)]
    assert [s.name for s in pairs] == [
        f"pairs-{s.split}-{n:05d}.parquet" for n, s in enumerate(pairs)
    ]
    assert sum(s.rows for s in examples) == len(window.sealed.examples)
    assert sum(s.rows for s in pairs) == len(window.sealed.pairs)
    order = [e.row_id.split(":")[2:] for e in window.sealed.examples]
    assert order == sorted(order, key=lambda at: (int(at[0]), int(at[1])))
