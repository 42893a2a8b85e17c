"""What a dataset is: a digest that knows its content and nothing of how it was read, cut or written."""

from __future__ import annotations

from schemas.datasets import Recipe
from schemas.digests import digest_of


def dataset_digest(recipe: Recipe, golden: str | None, examples: str, pairs: str) -> str:
    """The identity of a dataset.

    `examples` and `pairs` are digests over the digests of their contents in ascending order, so that no shard
    and no order of reading shows in them; `golden` is that of the cases kept out.
    """
    return digest_of(
        {
            "recipe": recipe.model_dump(mode="json"),
            "golden": golden,
            "examples": examples,
            "pairs": pairs,
        }
    )
