"""Sticky arms by salted hash: the same session always gets the same arm, in any language.

    bucket = first 8 bytes of SHA-256("<salt>:<session>") as a big-endian integer / 2**64
    candidate if bucket < w_candidate; baseline if bucket >= 1 - w_baseline; else stable

Growing a weight only ever adds sessions to an arm. Test vectors: tests/processors/test_arms.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def bucket(salt: str, unit: str) -> float:
    """Where a unit (a session id) falls in [0, 1)."""
    digest = hashlib.sha256(f"{salt}:{unit}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def assign(salt: str, unit: str, weights: Mapping[str, float]) -> str:
    """The arm of a unit: `candidate`, `baseline` or `stable`."""
    place = bucket(salt, unit)
    if place < weights.get("candidate", 0.0):
        return "candidate"
    if place >= 1.0 - weights.get("baseline", 0.0):
        return "baseline"
    return "stable"


def mirrored(salt: str, unit: str, share: float) -> bool:
    """Whether a session is also shown to the candidate in the shadow; independent of its arm."""
    return bucket(f"{salt}/shadow", unit) < share
