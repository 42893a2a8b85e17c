"""Personal data and secrets out, typed placeholders in, before anything is stored.

Linear-time expressions (RE2) find candidates; checksums and ranges decide. The same value gets the
same placeholder within one trace, so the text still makes sense.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import re2

_CARD_DIGITS = range(13, 20)
_IBAN_LENGTHS = range(15, 35)
_KEYS = (
    r"sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|AKIA[0-9A-Z]{16}"
    r"|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|glpat-[A-Za-z0-9_-]{20,}"
    r"|hf_[A-Za-z0-9]{30,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
)
_PATTERNS: tuple[tuple[str, str], ...] = (
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


def luhn(digits: str) -> bool:
    """The payment cards' checksum (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += sum(map(int, str(int(digit) * (1 + place % 2))))
    return total % 10 == 0


def _is_card(text: str) -> bool:
    digits = "".join(filter(str.isdigit, text))
    return len(digits) in _CARD_DIGITS and luhn(digits)


def _is_ssn(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_iban(text: str) -> bool:
    compact = text.replace(" ", "")
    if len(compact) not in _IBAN_LENGTHS:
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


_CHECKS: dict[str, Callable[[str], bool]] = {
    "CARD": _is_card,
    "SSN": _is_ssn,
    "IP": _is_ip,
    "IBAN": _is_iban,
}


class Redactor:
    """Compiled once per process; `trace()` begins the placeholders of one trace."""

    def __init__(self, identifiers: Mapping[str, str] | None = None) -> None:
        """Compile the patterns. `identifiers` come first: name → RE2 pattern.

        Raises ValueError where a pattern is not RE2.
        """
        patterns = [*(identifiers or {}).items(), *_PATTERNS]
        try:
            self._patterns = [(kind, re2.compile(pattern)) for kind, pattern in patterns]
        except re2.error as error:
            raise ValueError(f"not an RE2 pattern: {error}") from None

    def trace(self) -> Trace:
        """Fresh placeholders for one trace."""
        return Trace(self._patterns)


class Trace:
    """The placeholders of one trace. `counts` says how many of each kind were found."""

    def __init__(self, patterns: list[tuple[str, Any]]) -> None:
        self._patterns = patterns
        self._names: dict[str, str] = {}
        self._used: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def text(self, text: str) -> str:
        """`text` with every finding replaced; NUL characters become U+FFFD."""
        text = text.replace("\0", "\ufffd")
        for kind, pattern in self._patterns:
            text = pattern.sub(lambda match, kind=kind: self._place(kind, match.group(0)), text)
        return text

    def value(self, value: Any) -> Any:
        """Any JSON value: strings inside are redacted, keys are kept."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value

    def _place(self, kind: str, found: str) -> str:
        check = _CHECKS.get(kind)
        if check is not None and not check(found):
            return found
        self.counts[kind] += 1
        name = self._names.get(found)
        if name is None:
            self._used[kind] += 1
            name = self._names[found] = f"<{kind}_{self._used[kind]}>"
        return name
