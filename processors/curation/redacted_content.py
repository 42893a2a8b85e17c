"""A row's content without personal data, and what is remembered of what was taken out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from processors.curation.placeholders import Trace
from processors.curation.policy import CurationPolicy
from processors.curation.pseudonyms import Pseudonyms
from processors.curation.redact import Redactor
from processors.curation.residue import SecondPass
from schemas.digests import compact_json
from schemas.exact_json import content_json
from schemas.rows import Row

Encode: TypeAlias = Callable[[Any], bytes]
"""Compact JSON in UTF-8: of what pydantic decoded, or of what msgspec did."""
INCOMPLETE = "redaction_incomplete"
"""The reason of a row in whose text the second pass found something; the kinds follow it."""


class NotRedacted(Exception):
    """The second pass found what must never remain, of these kinds."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        super().__init__(*kinds)
        self.kinds = kinds


class ContentRedactor:
    """Both passes, compiled once per process."""

    def __init__(self, policy: CurationPolicy, pseudonyms: Pseudonyms) -> None:
        self._redactor = Redactor(policy.identifiers, policy.phone_regions)
        self._second_pass = SecondPass()
        self._pseudonyms = pseudonyms

    def redacted(self, content: Any, encode: Encode, tenant: str) -> tuple[Any, str, str | None]:
        """The content without personal data, its JSON text, and what was found (see `Row.pii`).

        Raises ValueError for a number that is not finite, NotRedacted if something is left: the row fails
        closed. Where the search of the first pass says that there is nothing, it is the second as well.
        """
        text = encode(content)
        trace = self._redactor.trace_of(text)
        if trace is None:
            return content, text.decode(), None
        content = trace.value(content)
        text = encode(content)
        left = self._redactor.is_suspect(text) and self._second_pass.left(text)
        if left:
            raise NotRedacted(left)
        return content, text.decode(), self._found(trace, tenant)

    def leaves(self, text: str) -> bool:
        """Whether a short text holds nothing that either pass would find."""
        encoded = compact_json(text)
        trace = self._redactor.trace_of(encoded)
        return trace is None or (trace.text(text) == text and not self._second_pass.left(encoded))

    def _found(self, trace: Trace, tenant: str) -> str | None:
        hide = self._pseudonyms.finding
        found = {
            kind: {hide(tenant, kind, value): times for value, times in values.items()}
            for kind, values in sorted(trace.found.items())
        }
        return content_json(found).decode() if found else None


def not_redacted(row: Row) -> tuple[str, ...]:
    """The kinds that the second pass found in a row's text."""
    return row.reasons[1:] if row.reasons[:1] == (INCOMPLETE,) else ()
