"""What ingest's decisions depend on, beside the event itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.envelope import Limits

TRUST_ORDER = ("unknown", "external", "internal", "verified")
TRUSTED = ("internal", "verified")
"""The trust of sources that are believed: who an author is, and whose data may be taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurationPolicy:
    """Thresholds, grants and keys. `hmac_key` hides users and sessions; it never leaves the host.

    `trust` grants each CloudEvents source a level; a source that is not named has `default_trust`.
    `identifiers` are the installation's own identifier shapes: name → RE2 pattern. They are replaced
    by typed placeholders like personal data is. `phone_regions` are those (ISO 3166) whose national phone
    numbers are looked for.
    """

    hmac_key: bytes
    limits: Limits = field(default_factory=Limits)
    min_quality: float = 70.0
    review_quality: float = 40.0
    min_confidence: float = 0.6
    default_trust: str = "internal"
    trust: dict[str, str] = field(default_factory=dict)
    identifiers: dict[str, str] = field(default_factory=dict)
    phone_regions: tuple[str, ...] = ("US",)
    dedupe_window_ms: int = 7 * 24 * 3600 * 1000
    dedupe_rows: int = 2_000_000

    def granted(self, source: str) -> str:
        """The highest trust that events of `source` can have."""
        return self.trust.get(source, self.default_trust)
