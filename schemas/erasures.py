"""Erasures: a subject whose data is taken back, and how far that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class ErasureKind(StrEnum):
    """Why data is taken back: somebody is to be forgotten, or a source cannot be trusted."""

    ERASURE = "erasure"
    POISON = "poison"

    @property
    def mark(self) -> str:
        """The reason that an emptied row gives."""
        return MARKS[self]


MARKS = {ErasureKind.ERASURE: "erased", ErasureKind.POISON: "quarantined"}


class ErasureState(StrEnum):
    """The last step that was done."""

    ASKED = "asked"
    ROWS = "rows"
    DATASETS = "datasets"
    ADAPTERS = "adapters"
    CERTIFIED = "certified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One erasure. `subject` has people's names hidden as in rows; see `processors.curation.subjects`.

    `report` is what was done so far, by step. `certificate` is the digest of the certificate.
    """

    id: str
    tenant: str
    kind: ErasureKind
    subject: Mapping[str, str]
    reason: str
    requested_by: str
    requested_at: datetime
    state: ErasureState
    report: Mapping[str, Any]
    certificate: str | None
    updated_at: datetime
