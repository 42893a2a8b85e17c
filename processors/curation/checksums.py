"""Checks that tell a card, an account or a social security number from other digits."""

from __future__ import annotations

import re

CARD_LENGTHS = range(13, 20)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""The sum of the digits of twice a digit."""
_ISSUED = re.compile(
    "4(?:.{12}|.{15}|.{18})|5[1-5].{14}|2[2-7].{14}|3[47].{13}|3(?:0[0-5]|[689]).*|35.{14,17}"
    "|(?:5[0678]|6).*|(?:2131|1800).{11}|(?:8[12]|9792).*"
)
"""What issuers of cards begin with, and how long theirs are (ISO/IEC 7812 and the schemes' own pages)."""
_IBAN_LENGTHS = {
    length: countries.split()
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}
IBAN_LENGTH = {country: length for length, all_ in _IBAN_LENGTHS.items() for country in all_}
"""Characters of an IBAN by country (ISO 13616, the registry of 2025)."""


def luhn(digits: str) -> bool:
    """The payment cards' checksum (ISO/IEC 7812-1)."""
    numbers = list(map(int, reversed(digits)))
    return (sum(numbers[::2]) + sum(map(_DOUBLED.__getitem__, numbers[1::2]))) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether these digits can be a payment card: issued by somebody, of its length, and it sums up."""
    known = len(digits) in CARD_LENGTHS and _ISSUED.fullmatch(digits)
    return bool(known) and luhn(digits)


def is_iban(compact: str) -> bool:
    """Whether these letters and digits are an IBAN of its country's length with a right check."""
    if IBAN_LENGTH.get(compact[:2]) != len(compact):
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def is_ssn(digits: str) -> bool:
    """Whether the Social Security Administration can have given out this number."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
