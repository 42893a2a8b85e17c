"""JSON of content by msgspec, value for value and byte for byte what pydantic and `json` make of it.

Where the libraries might differ it says so, and the caller takes the other way.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec import DecodeError, Raw
from msgspec.json import Decoder, Encoder

from schemas.chat import parse_arguments

_SHALLOW = 199
"""Levels that the other parser of JSON in JSON goes down at most."""


class ExactFloat(float):
    """A float of content: encoded as Python writes it, for msgspec writes 1e-05 as 0.00001."""

    __slots__ = ()


def exact_float(text: str) -> ExactFloat:
    """What every decoder of content calls for a float. Raises ValueError beyond a double."""
    number = ExactFloat(text)
    if math.isinf(number):
        raise ValueError("beyond a double")
    return number


def _encode(value: Any) -> Raw:
    if type(value) is ExactFloat:
        return Raw(float.__repr__(value).encode())
    raise TypeError(type(value).__name__)


content_json = Encoder(enc_hook=_encode).encode
"""Compact JSON in UTF-8 of content without plain floats: as `compact_json`, in a quarter of the time."""
_decode = Decoder(float_hook=exact_float).decode


def parsed_arguments(arguments: dict[str, Any] | str | None) -> dict[str, Any] | str:
    """As `parse_arguments` does it. Raises ValueError where the parsers might differ."""
    if arguments is None or isinstance(arguments, dict):
        return arguments or {}
    if len(arguments) > _SHALLOW and arguments.count("{") + arguments.count("[") > _SHALLOW:
        raise ValueError("perhaps too deep")
    try:
        parsed = _decode(arguments)
    except (DecodeError, ValueError):
        if isinstance(parse_arguments(arguments), dict):
            raise ValueError("only one parser reads it") from None  # noqa: TRY004 - its value
        return arguments
    return parsed if isinstance(parsed, dict) else arguments
