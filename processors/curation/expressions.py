"""RE2 expressions: linear in the text, whatever is written there."""

from __future__ import annotations

from typing import Any

import re2

_MOST_MEMORY = 32 * 1024 * 1024
"""For the states of all signs together: with RE2's own 8 MiB natural text takes three times as long."""


def compiled(pattern: str | bytes) -> Any:
    """An RE2 expression. Raises ValueError where it is none."""
    try:
        return re2.compile(pattern, options=_options())
    except re2.error as error:
        said = error.args[0]
        reason = said.decode() if isinstance(said, bytes) else said
        raise ValueError(f"not an RE2 pattern: {reason}") from None


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False  # it would write to stderr what the error says
    return options
