"""The second pass: what must never remain in a text that was redacted.

Redaction looks at the strings that hold a candidate, one by one, and keeps the keys of objects. This pass
looks at the text that is to be stored, as a whole, so it sees what the first one passed over.
"""

from __future__ import annotations

import re
from typing import Any

from processors.curation import findings, patterns
from processors.curation.expressions import compiled
from processors.curation.folding import folded_json
from processors.curation.phones import Phones

KINDS = ("CARD", "EMAIL", "KEY", "SSN")
"""What is looked for. Values of other kinds may be something else."""
_PATTERNS = (*patterns.KEYS, patterns.EMAIL, patterns.CARD, patterns.SSN)
_ESCAPE = re.compile(rb"\\(?:u[0-9a-f]{4}|\\[nrtbf]?|.)")
"""Of the text, and of JSON that its strings hold."""


class SecondPass:
    """Compiled once per process."""

    def __init__(self) -> None:
        finders = findings.finders(Phones())
        self._patterns = [
            (p.kind, compiled(p.expression.encode()), finders[p.kind]) for p in _PATTERNS
        ]
        self._sign: Any = compiled(b"|".join(pattern.sign.encode() for pattern in _PATTERNS))

    def left(self, text: bytes) -> tuple[str, ...]:
        """The kinds that a JSON text in UTF-8 holds all the same, sorted; none in all but broken cases."""
        text = folded_json(text)
        if self._sign.search(text) is None:
            return ()
        plain = _ESCAPE.sub(b'"', text) if b"\\" in text else text
        return tuple(sorted({kind for kind, *how in self._patterns if _holds(plain, *how)}))


def _holds(text: bytes, pattern: Any, find: findings.Finder) -> bool:
    return any(find(match.group().decode()) for match in pattern.finditer(text))
