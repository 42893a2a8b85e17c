"""presidio-synth-v2 as a measure of redaction: what each kind's recall and precision are, by half.

Its sentences are made from templates, so the halves share no template. Everything was tuned on `TUNED`;
figures are from `HELD_OUT`.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from processors.curation.redact import Redactor

FILE = Path("presidio-synth-v2") / "synth_dataset_v2.json.gz"
TUNED, HELD_OUT = "tuned", "held out"
KINDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "US_SSN": "SSN",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "PHONE_NUMBER": "PHONE",
}
REGIONS = (
    "US", "CA", "GB", "AU", "NZ", "ZA", "DE", "AT", "CH", "FR", "BE", "NL", "IT", "ES", "PT", "CY",
    "DK", "SE", "NO", "FI", "IS", "GL", "EE", "PL", "CZ", "HU", "SI", "BR", "UY", "TN",
)  # fmt: skip
"""Countries that the tuned half's addresses name, as an installation would name its customers', and two
whose numbers stand there (Switzerland, Italy)."""
_PLACEHOLDER = re.compile(r"<([A-Z]+)_[0-9]+>")


class Span(NamedTuple):
    """Something in a text, from a character to before another."""

    kind: str
    start: int
    end: int


class Sentence(NamedTuple):
    """A text and what personal data it holds, of the kinds that are looked for."""

    text: str
    spans: Sequence[Span]


class Score(NamedTuple):
    """Of a kind: how many there were, how many of them were replaced whole, how many others were."""

    there: int
    found: int
    false: int


def sentences(data: Path, half: str) -> list[Sentence]:
    """The sentences of every other template, in the order of their ids: the even ones were tuned on."""
    rows = json.loads(gzip.decompress((data / FILE).read_bytes()))
    templates = sorted({row["template_id"] for row in rows})
    chosen = set(templates[0 if half == TUNED else 1 :: 2])
    return [_sentence(row) for row in rows if row["template_id"] in chosen]


def _sentence(row: dict[str, object]) -> Sentence:
    spans: list[dict[str, object]] = row["spans"]  # type: ignore[assignment]
    kinds = (
        (KINDS.get(str(s["entity_type"])), s["start_position"], s["end_position"]) for s in spans
    )
    return Sentence(
        str(row["full_text"]), [Span(k, int(str(a)), int(str(b))) for k, a, b in kinds if k]
    )


def replaced(text: str, redacted: str) -> Iterator[Span]:
    """Where the placeholders of a redacted text stood in the text."""
    parts = _PLACEHOLDER.split(redacted)
    pieces, kinds = parts[::2], parts[1::2]
    match = re.fullmatch("(.+?)".join(map(re.escape, pieces)), text, re.DOTALL)
    if match is None:
        raise ValueError("the redacted text differs in more than placeholders")
    for number, kind in enumerate(kinds, 1):
        yield Span(kind, *match.span(number))


def scores(found_in: Iterable[Sentence], redactor: Redactor) -> dict[str, Score]:
    """By kind. Found is what lies within a placeholder of its kind; false what touches none of its kind."""
    there, found, false = Counter[str](), Counter[str](), Counter[str]()
    for sentence in found_in:
        spans = list(replaced(sentence.text, redactor.trace().text(sentence.text)))
        for gold in sentence.spans:
            there[gold.kind] += 1
            found[gold.kind] += any(_within(gold, span) for span in spans)
        false.update(s.kind for s in spans if not any(_touches(s, g) for g in sentence.spans))
    return {kind: Score(there[kind], found[kind], false[kind]) for kind in sorted({*there, *false})}


def _within(inner: Span, outer: Span) -> bool:
    same = inner.kind == outer.kind
    return same and outer.start <= inner.start and inner.end <= outer.end


def _touches(one: Span, other: Span) -> bool:
    return one.kind == other.kind and one.start < other.end and other.start < one.end
