"""What personal data and secrets look like, and the checksums and ranges that tell them from the rest.

Linear-time expressions (RE2) find candidates; a finder decides which part of a candidate it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

_CARD_DIGITS = range(13, 20)
_IBAN_LENGTHS = range(15, 35)
_GROUP = re.compile(r"[^ -]+")
_MOST_GROUPS = 8
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""The sum of the digits of twice a digit."""
_KEYS = (
    r"(?:\b|\\[nrt])sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|AKIA[0-9A-Z]{16}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|glpat-[A-Za-z0-9_-]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
PATTERNS: tuple[tuple[str, str], ...] = (
    ("KEY", _KEYS),
    ("EMAIL", r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}"),
    ("IBAN", r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"),
    ("CARD", r"\b[0-9](?:[ -]?[0-9]){12,18}\b"),
    ("SSN", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b"),
    ("IP", r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"),
    (
        "PHONE",
        r"\+[0-9]{1,3}(?:[ .()-]{0,2}[0-9]){7,12}\b|\(?\b[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b",
    ),
)
"""(kind, RE2 expression), in the order in which they are replaced."""


def luhn(digits: str) -> bool:
    """The payment cards' checksum (ISO/IEC 7812-1)."""
    numbers = list(map(int, reversed(digits)))
    return (sum(numbers[::2]) + sum(map(_DOUBLED.__getitem__, numbers[1::2]))) % 10 == 0


def _is_card(text: str) -> bool:
    digits = "".join(filter(str.isdigit, text))
    return len(digits) in _CARD_DIGITS and luhn(digits)


def _is_iban(text: str) -> bool:
    compact = text.replace(" ", "")
    if len(compact) not in _IBAN_LENGTHS:
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _card(text: str) -> str:
    """The longest run of whole groups that is a card: an expiry date or an amount may be beside."""
    spans = [match.span() for match in _GROUP.finditer(text)]
    if len(spans) > _MOST_GROUPS:
        return text if _is_card(text) else ""
    runs = [text[first:last] for first, _ in spans for _, last in spans if first < last]
    return next(filter(_is_card, sorted(runs, key=len, reverse=True)), "")


def _iban(text: str) -> str:
    """The longest beginning of whole groups that is an IBAN: a word in capitals may follow."""
    ends = [match.end() for match in _GROUP.finditer(text)]
    return next((text[:end] for end in reversed(ends) if _is_iban(text[:end])), "")


def _key(text: str) -> str:
    return text[2:] if text.startswith("\\") else text


def _ssn(text: str) -> str:
    area, group, serial = text.split("-")
    sound = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return text if sound else ""


def _ip(text: str) -> str:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return ""
    return text


FINDERS: dict[str, Callable[[str], str]] = {
    "KEY": _key,
    "CARD": _card,
    "SSN": _ssn,
    "IP": _ip,
    "IBAN": _iban,
}
"""What of a candidate is the finding; empty if nothing is."""


def whole(text: str) -> str:
    """A finding that needs no check."""
    return text
