"""What personal data and secrets look like: linear-time expressions (RE2) that find candidates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from processors.curation import phones
from processors.curation.checksums import IBAN_LENGTH
from processors.curation.key_shapes import INNER, NAMED, NAMED_SIGN, NAMED_VALUE, NAMES, SHAPES

_EDGE = r"(?:\b|\\[nrtbf])"
"""A border of a word, or an escape of JSON that a string holds as text."""
_DIGIT_EDGE = r"(?:\b|_|\\[nrtbf])"
_COUNTRY = f"(?:{'|'.join(sorted(IBAN_LENGTH))})[0-9]{{2}}"
_SMALL_COUNTRY = _COUNTRY.lower()
_LETTERS, _NO_ASCII = r"\pL\pM\pN", r"\x{80}-\x{10FFFF}"
# Of a name in Latin letters, text in another script that follows without a space is no part.
_TOP = r"(?:xn--[A-Za-z0-9-]+|[\p{Latin}\pM]{2,24}|\pL[\pL\pM]{1,24})"
SSN_DIGITS = "[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}"
NAMED_CARD_DIGITS = "[0-9](?:[ -]?[0-9]){11,18}"
_CALLED_CARD, _CALLED_SSN = r"(?i:card|\bcc\b|maestro)", r"(?i:(?:\b|_)ssn|social[ _-]?security)"
_NO_DIGIT = r"(?:[^0-9[:cntrl:]]|[\t\n\r])"


class Pattern(NamedTuple):
    """A kind, its RE2 expression, and its sign: one that matches in each text that it matches in.

    Signs are searched for in JSON, where an escape moves the borders of words: they have none. Those of
    `NAMED` kinds may reach from one string into the next, as from `"ssn":` to what it holds, and from a name
    to digits far behind it: counting what is between would cost the search of all signs its speed. Whatever
    matches holds one of `needs`, in small letters, if there are any.
    """

    kind: str
    expression: str
    sign: str
    needs: tuple[bytes, ...]


def _pattern(kind: str, expression: str, sign: str = "", needs: str = "") -> Pattern:
    borderless = (sign or expression).replace(_DIGIT_EDGE, "").replace(_EDGE, "")
    return Pattern(kind, expression, borderless.replace(r"\b", ""), tuple(needs.encode().split()))


_URL = r"://[^\[\] /:@\"'\\<>[:cntrl:]]+:"
KEYS: tuple[Pattern, ...] = (
    _pattern("KEY", f"{_EDGE}(?:{'|'.join(shape for _, shape in SHAPES)})"),
    *(_pattern("KEY", f"{_EDGE}(?:{shape})", sign, needs) for _, shape, sign, needs in INNER),
    _pattern(
        "KEY",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?:[^-]|-[^-])*(?:-----END [A-Z0-9 ]*-----)?",
        "-----BEGIN [A-Z0-9 ]*PRIVATE KEY",
        "private",
    ),
)
"""Keys that their own shape gives away."""
NAMED_KEYS: tuple[Pattern, ...] = (
    _pattern(
        "NAMED_KEY",
        f"{NAMED}{NAMED_VALUE}{{16,}}",
        f"{NAMED_SIGN}{NAMED_VALUE}{{16}}",
        "key token secret bearer authorization",
    ),
    _pattern("URL_KEY", rf"{_URL}[^ /@\"'\\<>[:cntrl:]]+@", needs="://"),
)
EMAIL = _pattern(
    "EMAIL",
    rf"(?:\\[nrtbf]|=3D)?[{_LETTERS}._%+-]+(?:@|%40)(?:[{_LETTERS}-]+\.)+{_TOP}",
    rf"[A-Za-z0-9._%+{_NO_ASCII}-](?:@|%40)(?:[A-Za-z0-9{_NO_ASCII}-]+\.)+[A-Za-z{_NO_ASCII}]{{2}}",
    "@ %40",
)
CARD = _pattern(
    "CARD",
    rf"{_DIGIT_EDGE}(?:[0-9]{{1,12}}\.)?[0-9](?:[ -]?[0-9]){{12,18}}(?:\b|_)",
    r"(?:^\.?|[^0-9.]|[^0-9]\.|[A-Za-z_][0-9]+\.|[0-9]{13}\.)(?:[2-6](?:[ -]?[0-9]){12}|1800(?:[ -]?[0-9]){11}|(?:8[12]|97)(?:[ -]?[0-9]){14})",
)
_SEPARATORS = ("  ", r"\t", r"\r?\n", r"\.", "_", r" ?\| ?")
_BROKEN = "|".join(
    f"[0-9]{{4}}(?:{gap}[0-9]{{4}}){{3}}|3[47][0-9]{{2}}{gap}[0-9]{{6}}{gap}[0-9]{{5}}"
    for gap in _SEPARATORS
)
_GAP = r"(?:  |(?:\\[tnr]|[\"\t\n\r]){1,2}|[._]| ?\| ?)"
BROKEN_CARD = _pattern(
    "BROKEN_CARD",
    rf"{_DIGIT_EDGE}(?:{_BROKEN})(?:\b|_)",
    f"[2-689][0-9]{{3}}{_GAP}[0-9]{{4}}(?:{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}|[0-9]{{2}}{_GAP}[0-9]{{5}})",
)
"""In the groups that are embossed: others of so many digits are columns of numbers."""
SSN = _pattern(
    "SSN",
    rf"{_DIGIT_EDGE}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}(?:\b|_)",
    "[0-9]{3}-[0-9]{2}-[0-9]{4}",
    "-",
)
PERSONAL: tuple[Pattern, ...] = (
    EMAIL,
    _pattern(
        "IBAN",
        rf"{_EDGE}(?:{_COUNTRY}(?:[ -]?[A-Z0-9]){{11,30}}|{_SMALL_COUNTRY}(?:[ -]?[a-z0-9]){{11,30}})\b",
        # In small letters the beginning of a hash would look like it without a border.
        rf"{_COUNTRY}(?:[ -]?[A-Z0-9]){{11}}"
        rf"|(?:^|[^A-Za-z0-9]|[\"\\](?:[nrtbf]|u[0-9a-f]{{4}})){_SMALL_COUNTRY}(?:[ -]?[a-z0-9]){{11}}",
    ),
    CARD,
    BROKEN_CARD,
    _pattern(
        "NAMED_CARD",
        rf"{_CALLED_CARD}{_NO_DIGIT}{{0,20}}{NAMED_CARD_DIGITS}\b",
        f"{_CALLED_CARD}[^0-9]*{NAMED_CARD_DIGITS}",
        "card cc maestro",
    ),
    SSN,
    _pattern(
        "NAMED_SSN",
        rf"{_CALLED_SSN}{_NO_DIGIT}{{0,30}}{SSN_DIGITS}\b",
        f"{_CALLED_SSN}[^0-9]*{SSN_DIGITS}",
        "ssn social",
    ),
    _pattern(
        "IP", rf"{_EDGE}[0-9]{{1,3}}(?:\.[0-9]+){{3,}}\b", r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", "."
    ),
    _pattern(
        "IP",
        rf"{_EDGE}[0-9A-Fa-f]{{1,4}}(?:::?[0-9A-Fa-f]{{1,4}}){{1,40}}(?:::)?|{_EDGE}[0-9A-Fa-f]{{4}}::",
        "(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]|[0-9A-Fa-f]{2}:(?:[0-9A-Fa-f]{1,4}:)*:",
        ":",
    ),
)

NAMES_THAT_TELL = re.compile(
    rf"(?i){NAMES}|card|cc|maestro|ssn|social[ _-]?security|{phones.SPOKEN}"
)
"""Names of which one is in each that tells what its value is."""
_CALLED = rf"card[a-z_ -]*|\"cc|maestro[a-z_ -]*|ssn[a-z_ -]*|social[ _-]?security[a-z_ -]*|{phones.CALLED}"
HELD_SIGN = (
    rf"(?i:{_CALLED})\":[\[{{][^\]}}]*[0-9](?:[ .()/-]*[0-9]){{6}}"
    rf"|(?i:(?:{NAMES})s?)\":[\[{{][^\]}}]*{NAMED_VALUE}{{16}}"
)
"""The sign of values in a list or an object whose name in JSON tells what they are."""


def patterns(regions: Sequence[str] = phones.DEFAULT_REGIONS) -> tuple[Pattern, ...]:
    """Everything looked for, in the order in which it is replaced. `regions` are those of phones."""
    calls = (
        _pattern("PHONE", phones.shapes(regions)),
        _pattern("NAMED_PHONE", phones.NAMED, phones.NAMED_SIGN, phones.NAMED_NEEDS),
    )
    return (*KEYS, *NAMED_KEYS, *PERSONAL, *calls)
