"""Short texts of made-up topics, for tests of what tells domains apart."""

from __future__ import annotations

import numpy as np

TOPICS = {
    "trains": [
        "train",
        "station",
        "platform",
        "ticket",
        "lyon",
        "paris",
        "delay",
        "seat",
        "conductor",
        "rail",
    ],
    "cooking": [
        "flour",
        "butter",
        "oven",
        "bake",
        "sugar",
        "recipe",
        "dough",
        "salt",
        "whisk",
        "spoon",
    ],
    "law": [
        "court",
        "appeal",
        "statute",
        "judge",
        "clause",
        "contract",
        "plaintiff",
        "verdict",
        "tort",
        "lease",
    ],
}
SHARED = ["please", "could", "you", "help", "me", "with", "the", "a", "of", "and", "today", "about"]


def corpus(*names: str, tasks: int = 30, seed: int = 1) -> tuple[list[str], list[str], list[str]]:
    """Texts of made-up topics, two a task."""
    dice = np.random.default_rng(seed)
    texts, labels, keys = [], [], []
    for name in sorted(names):
        for task in range(tasks):
            for _ in range(2):
                words = [*dice.choice(TOPICS[name], 5), *dice.choice(SHARED, 6)]
                texts.append(" ".join(map(str, words)))
                labels.append(name)
                keys.append(f"{name}-{task}")
    return texts, labels, keys
