"""Phone numbers: tight shapes, checked against the numbering plans that `phonenumbers` brings along.

Its parser takes 50 µs a candidate; its plans as one RE2 expression take 1. International numbers count if
their length is one of their country's, national ones if a configured region has given out such numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS, PhoneMetadata

from processors.curation.expressions import compiled

DEFAULT_REGIONS = ("US",)
_EDGE = r"(?:\b|\\[nrtbf])"
_END = r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b"
INTERNATIONAL = (
    rf"(?:(?:\+|{_EDGE}011[ .-])[1-9](?:[ .()/-]{{0,3}}[0-9]){{6,14}}"
    rf"|{_EDGE}00[1-9][0-9]{{0,2}}[ .()/-]{{1,3}}[0-9](?:[ .()/-]{{0,3}}[0-9]){{5,12}}){_END}"
)
NORTH_AMERICAN = rf"(?:\b1[ .-])?(?:\([2-9][0-9]{{2}}\) ?|{_EDGE}[2-9][0-9]{{2}}[ .-])[0-9]{{3}}[ .-][0-9]{{4}}{_END}"
NATIONAL = (
    rf"(?:\([0-9]{{2,5}}\)|{_EDGE}[0-9]{{2,5}})(?:[ ./-]{{1,2}}[0-9]{{2,8}}){{1,5}}\b(?: \p{{Lu}}\pL)?"
    rf"|{_EDGE}(?:[0-9]+\.)?0[1-9][0-9]{{7,9}}\b"
)
SPOKEN = (
    "(?:tele)?phone|tel|mobile|fax|whatsapp|sms|hotline|dial"
    "|(?:my|your|his|her|our|their|contact|new|old|home|work|office|cell) number"
    "|(?:call|text|ring|reach)(?:(?: (?:me|us|him|her|them|back)){1,2}| (?:at|on))"
)
_DIGITS = r"\(?[0-9](?:[ .()/-]{0,2}[0-9]){6,13}\b"
_LINK = r"(?:[ _-]?(?:numbers?|nr|no|is|at|on|to|under)\.?)"
CALLED = rf"(?:{SPOKEN})s?{_LINK}*"
"""What stands before a phone number; in any case."""
_BEFORE = rf"(?i:(?:\b|_)(?:{SPOKEN})s?{_LINK}{{0,3}})"
_AFTER = rf"{_EDGE}{_DIGITS}[ -]{{1,2}}(?i:office|fax|mobile|cell|home|phone)\b"
NAMED = rf"{_BEFORE}[ \t\n\r:.=\"'#\[-]{{1,6}}{_DIGITS}|{_AFTER}"
"""Seven digits or more that the words beside them call a phone number."""
NAMED_NEEDS = (
    "phone tel mobile fax whatsapp sms hotline dial number call text ring reach office cell home"
)
NAMED_SIGN = (
    rf"(?i:{CALLED})[ \t\n\r:.=\"\\'#\[nrt-]+\(?[0-9](?:[ .()/-]*[0-9]){{6}}"
    r"|[0-9](?:[ .()/-]*[0-9]){6}[ -]+(?i:office|fax|mobile|cell|home|phone)"
)
"""The same where quotes and line breaks are escaped."""
_TYPES = (
    "fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost",
    "personal_number", "voip", "pager", "uan",
)  # fmt: skip
_DATE = re.compile(
    r"(?:19|20)\d\d[ ./-][01]?\d[ ./-][0-3]?\d(?:\D.*)?|[0-3]?\d[./-][0-3]?\d[./-](?:19|20)?\d\d(?:\D.*)?"
)
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?\(?[2-9]\d\d\)?[ .-]?\d{3}[ .-]\d{4}")
_CALLED_NORTH_AMERICAN = re.compile("1?[2-9][0-9]{9}")
_ABROAD = ("+", "00", "011")
_NUMBER = re.compile(r"\+?\(?[0-9](?:[ .()/-]{0,2}[0-9]){6,}")
_GROUP = re.compile(r"\(?[0-9]+\)?")
_AREA = re.compile(r"[(0]|(?:[0-9]+[ ./-]{1,2}){2,}[0-9]+$")
_SUBSCRIBER = re.compile("[0-9]{3,4}[ -][0-9]{4}")
"""Of numbers in two groups others are as often a house and its postcode."""
_NO_NUMBER = re.compile(
    rf"^(?:{_DATE.pattern})$|(?:19|20)\d\d-[01]\d-[0-3]\d|^\d+\.\d+$|^\d{{3}}-\d\d-\d{{4}}$"
    r"|^(?:1\d|20)\d\d-(?:1\d|20)\d\d$"
)
"""A date with what stands beside it, a fraction, what is written as a social security number, or years."""
_EXTENSION = re.compile(r" ?(?:x|ext\.?) ?\d+$")
_STREET = re.compile(r" \D+$")
_REMEMBERED = 4096
_FEWEST_DIGITS = 7
_FEWEST_GROUPS = 3
_LONGEST_CODE = 3


def is_region(name: str) -> bool:
    """Whether this is a region (ISO 3166, two letters) whose numbering plan is known."""
    return name in SUPPORTED_REGIONS


def shapes(regions: Sequence[str]) -> str:
    """The RE2 expression of candidates where these are the regions of national numbers."""
    wider = any(_metadata(region).country_code != 1 for region in regions)
    national = [NORTH_AMERICAN] if _north_american(regions) else []
    return "|".join([INTERNATIONAL, *national, *([NATIONAL] if wider else [])])


class Phones:
    """Which candidates are phone numbers, and the one way to write each."""

    def __init__(self, regions: Sequence[str] = DEFAULT_REGIONS) -> None:
        self._north_american = _north_american(regions)
        self._plans = [_Plan(_metadata(r)) for r in regions if _metadata(r).country_code != 1]
        self._any_plan: Any = compiled("|".join(plan.expression for plan in self._plans).encode())
        self.number = lru_cache(_REMEMBERED)(self._number)

    def find(self, text: str) -> str:
        """The part of a candidate that is a phone number; empty if none is."""
        number = _EXTENSION.sub("", text)
        if number != text and self.number(number):
            return text
        text = number
        street = _STREET.search(text)
        if street:
            text = text[: street.start()]
            if _SUBSCRIBER.fullmatch(text):
                return ""
        if self.number(text):
            return text
        groups = [match.span() for match in _GROUP.finditer(text)]
        if text.startswith(_ABROAD):
            return self._beginning(text[:end] for _, end in reversed(groups[:-1]))
        if len(groups) < _FEWEST_GROUPS:
            return ""
        parts = text[groups[1][0] :], text[: groups[-2][1]]
        return next((part for part in parts if self.number(part)), "")

    def _beginning(self, runs: Iterable[str]) -> str:
        """The first that is a number: a date, an amount or the next number may follow the groups of one."""
        long = (run for run in runs if len(_digits(run)) >= _FEWEST_DIGITS)
        return next(filter(self.number, long), "")

    def named(self, text: str) -> str:
        """The part of a candidate of `NAMED` that is the number."""
        found = _NUMBER.search(text)
        return found.group() if found and not _DATE.fullmatch(found.group()) else ""

    def normal(self, text: str) -> str:
        """One way to write a number that was found, however it stood there."""
        text = _EXTENSION.sub("", text)
        return self.number(text) or self._called(_digits(text))

    def _called(self, digits: str) -> str:
        """Digits that words call a number, as E.164 writes them if a region has such numbers."""
        if self._north_american and _CALLED_NORTH_AMERICAN.fullmatch(digits):
            return f"+1{digits[-10:]}"
        return next(filter(None, (plan.called(digits) for plan in self._plans)), digits)

    def _number(self, text: str) -> str:
        """A phone number as E.164 writes it; empty if it is none."""
        digits = _digits(text.replace("(0)", ""))
        if text.startswith("+"):
            return _international(digits)
        for prefix in _ABROAD[1:]:
            if text.startswith(prefix):
                return _international(digits.removeprefix(prefix))
        if self._north_american and _NORTH_AMERICAN.fullmatch(text):
            return f"+1{digits[-10:]}"
        return self._national(text, digits)

    def _national(self, text: str, digits: str) -> str:
        """The first region that has such numbers counts."""
        if len(digits) < _FEWEST_DIGITS or _NO_NUMBER.search(text) or _is_count(text):
            return ""
        written_so = _AREA.match(text) or _SUBSCRIBER.fullmatch(text)
        if not written_so or self._any_plan.fullmatch(digits.encode()) is None:
            return ""
        return next((plan.written(digits) for plan in self._plans if plan.has(digits)), "")


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _is_count(text: str) -> bool:
    """Whether the groups are numbers that follow each other, as in a calendar."""
    numbers = [int(group.strip("()")) for group in _GROUP.findall(text)]
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    return len(numbers) >= _FEWEST_GROUPS and steps == {1}


def _north_american(regions: Iterable[str]) -> bool:
    return any(_metadata(region).country_code == 1 for region in regions)


def _metadata(region: str) -> PhoneMetadata:
    found = PhoneMetadata.metadata_for_region(region, None)
    if found is None:
        raise ValueError(f"not a region of phone numbers: {region}")
    return found


class _Plan:
    """All numbers that a region has given out, with or without what is dialled before them."""

    def __init__(self, plan: PhoneMetadata) -> None:
        kinds = [getattr(plan, kind) for kind in _TYPES]
        numbers = "|".join(kind.national_number_pattern or "[^0-9]" for kind in kinds if kind)
        self._code, self._prefix = plan.country_code, plan.national_prefix or ""
        self.expression = f"(?:{self._prefix})?(?:{numbers})"
        self._numbers: Any = compiled(self.expression.encode())

    def has(self, digits: str) -> bool:
        """Whether a subscriber can have this number."""
        return self._numbers.fullmatch(digits.encode()) is not None

    def written(self, digits: str) -> str:
        """A number that the plan has, as E.164 writes it."""
        return f"+{self._code}{digits.removeprefix(self._prefix)}"

    def called(self, digits: str) -> str:
        """The same of digits that may begin with the country's code; empty if the plan has none such."""
        if self.has(digits):
            return self.written(digits)
        national = digits.removeprefix(str(self._code))
        return self.written(national) if national != digits and self.has(national) else ""


@cache
def _lengths() -> Mapping[str, frozenset[int]]:
    """Digits after the country code, by country code."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for code, plan in _plans():
        if plan.general_desc is not None:
            found[code].update(plan.general_desc.possible_length)
    return {code: frozenset(lengths) for code, lengths in found.items()}


def _plans() -> Iterator[tuple[str, PhoneMetadata]]:
    for code, regions in COUNTRY_CODE_TO_REGION_CODE.items():
        for region in regions:
            plan = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
            if plan is not None:
                yield str(code), plan


def _international(digits: str) -> str:
    for length in range(1, _LONGEST_CODE + 1):
        possible = _lengths().get(digits[:length])
        if possible is not None:
            return f"+{digits}" if len(digits) - length in possible else ""
    return ""
