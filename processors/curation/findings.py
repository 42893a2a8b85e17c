"""What of a candidate is personal data or a secret, and the one way to write it."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import unquote

from processors.curation import phones
from processors.curation.checksums import CARD_LENGTHS, IBAN_LENGTH, is_card, is_iban, is_ssn, luhn
from processors.curation.key_shapes import NAMED
from processors.curation.patterns import NAMED_CARD_DIGITS, SSN_DIGITS

Finder: TypeAlias = Callable[[str], str]
"""What of a candidate is the finding; empty if nothing is."""

_GROUP = re.compile(r"[^ -]+")
_SEPARATOR = re.compile(rb"[ -]")
_NAME = re.compile(NAMED)
_ESCAPED = re.compile("%(?:0[0-9a-f]|2[026-9cf]|3[a-f]|5[b-d]|7[b-d])", re.IGNORECASE)
"""In a URL: what no address holds, and what may stand before one."""
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
"""Scripts that put no space between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese; Korean has endings."""
_STRAY = re.compile("[.%+\u0300-\u036f\ufe00-\ufe0f-]*")
"""Signs and marks that an address does not begin with."""
_MOST_GROUPS = 8
_FEWEST_CHARACTERS = 8
"""Different ones in a key that only its name gives away: `your_api_key_here` has 8 as well, but no digit."""
_GLOBAL = re.compile("(?:[23][0-9a-f]{3}|f[cde][0-9a-f]{2}|64:ff9b):", re.IGNORECASE)
"""What IPv6 addresses in use begin with; `a::b` is as often a name in a program."""


def _unescaped(text: str) -> str:
    """Without the escape that stood before it."""
    return text[2:] if text.startswith("\\") else text


def _key(text: str) -> str:
    found = _unescaped(text).rstrip(".")
    # `sk-` is also the end of words with hyphens.
    return found if any(map(str.isdigit, found)) or not found.startswith("sk-") else ""


def _named_key(text: str) -> str:
    name = _NAME.match(text)
    found = text[name.end() :] if name else ""
    mixed = any(map(str.isdigit, found)) and any(map(str.isalpha, found))
    return found if mixed and len(set(found)) > _FEWEST_CHARACTERS else ""


def _url_key(text: str) -> str:
    return text.removeprefix("://").partition(":")[2][:-1]


def _email(text: str) -> str:
    """An address without what a URL, quoted-printable or words in other scripts put before it."""
    text = _unescaped(text).removeprefix("=3D")
    at = max(text.rfind("@"), text.rfind("%40"))
    local = _ESCAPED.split(text[:at])[-1] or text[:at]
    local = _UNSPACED.split(local)[-1] or local
    stray = _STRAY.match(local)
    return (local[stray.end() :] if stray else local) + text[at:]


def _card(text: str) -> str:
    """The longest run of whole groups that is a card: an expiry date or an amount may be beside."""
    text = _unescaped(text).strip("_")
    # Digits behind a point are a fraction.
    spans = [match.span() for match in _GROUP.finditer(text) if "." not in match.group()]
    if len(spans) > _MOST_GROUPS:
        return text if _is_card(text) else ""
    runs = [
        text[start:end]
        for first, (start, _) in enumerate(spans)
        for last, (_, end) in enumerate(spans[first:])
        if end - start - last in CARD_LENGTHS
    ]
    return next(filter(_is_card, sorted(runs, key=len, reverse=True)), "")


def _is_card(text: str) -> bool:
    return is_card("".join(filter(str.isdigit, text)))


def _broken_card(text: str) -> str:
    text = _unescaped(text).strip("_")
    return text if _is_card(text) else ""


def _named_card(text: str) -> str:
    """Twelve digits are a card only where they are called one: Maestro gave out such numbers."""
    found = re.search(rf"{NAMED_CARD_DIGITS}$", text)
    return found.group() if found and luhn(_digits(found.group())) else ""


def _iban(text: str) -> str:
    """As many characters as its country's IBANs have: a word in capitals may follow."""
    starts = (match.start() for match in _GROUP.finditer(_unescaped(text)))
    return next(filter(None, (_iban_at(_unescaped(text)[start:]) for start in starts)), "")


def _iban_at(text: str) -> str:
    places = [place for place, character in enumerate(text) if character not in " -"]
    length = IBAN_LENGTH.get(text[:2].upper(), len(text) + 1)
    if length > len(places):
        return ""
    end = places[length - 1] + 1
    ends_there = end == len(text) or text[end] in " -"
    return text[:end] if ends_there and is_iban(_compact(text[:end]).upper()) else ""


def _ssn(text: str) -> str:
    text = _unescaped(text).strip("_")
    return text if is_ssn(text.replace("-", "")) else ""


def _named_ssn(text: str) -> str:
    found = re.search(rf"{SSN_DIGITS}$", text)
    return found.group() if found and is_ssn(_digits(found.group())) else ""


def _ip(text: str) -> str:
    text = _unescaped(text)
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ""
    return text if "::" not in text or _GLOBAL.match(text) else ""


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _compact(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def finders(found: phones.Phones) -> Mapping[str, Finder]:
    """The finder of each kind of pattern."""
    return {
        "KEY": _key,
        "NAMED_KEY": _named_key,
        "URL_KEY": _url_key,
        "EMAIL": _email,
        "IBAN": _iban,
        "CARD": _card,
        "BROKEN_CARD": _broken_card,
        "NAMED_CARD": _named_card,
        "SSN": _ssn,
        "NAMED_SSN": _named_ssn,
        "IP": _ip,
        "PHONE": lambda text: found.find(_unescaped(text)),
        "NAMED_PHONE": lambda text: found.named(_unescaped(text)),
    }


KINDS = {
    "NAMED_KEY": "KEY",
    "URL_KEY": "KEY",
    "BROKEN_CARD": "CARD",
    "NAMED_CARD": "CARD",
    "NAMED_SSN": "SSN",
    "NAMED_PHONE": "PHONE",
}
"""What a finding is called, where the pattern's own name says how it was found."""


GROUPED = ("CARD", "IBAN")
"""Kinds that are written in groups, among others of which they may stand."""


def next_group(text: bytes, start: int, end: int) -> int:
    """Where in a candidate of a grouped kind the next one may begin."""
    borders = [match.end() for match in _SEPARATOR.finditer(text, start + 1, end)]
    return borders[0] if 0 < len(borders) < _MOST_GROUPS else end


def normal_forms(found: phones.Phones) -> Mapping[str, Callable[[str], str]]:
    """The one way to write a value of a kind, however it stood there; others are as they stand."""
    return {
        "EMAIL": lambda text: unicodedata.normalize("NFC", unquote(text)).casefold(),
        "IBAN": lambda text: _compact(text).upper(),
        "CARD": _digits,
        "SSN": _digits,
        "IP": lambda text: str(ipaddress.ip_address(text)),
        "PHONE": found.normal,
    }
