"""Redaction of text that others made: presidio's sentences by half, and τ-bench's customers."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from benchmarks.curation import clean_traces, presidio, tau_mails
from benchmarks.curation.pii import MICRO, wilson
from processors.curation.redact import Redactor

pytestmark = pytest.mark.data


@pytest.mark.parametrize("half", [presidio.TUNED, presidio.HELD_OUT])
def test_presidio_s_sentences(half: str, shared_data: Path) -> None:
    sentences = presidio.sentences(shared_data, half)
    scores = presidio.scores(sentences, Redactor(regions=presidio.REGIONS))
    chosen = [scores[kind] for kind in MICRO]
    assert sum(score.found for score in chosen) >= 0.98 * sum(score.there for score in chosen)
    assert sum(score.false for score in chosen) == 0
    phone = scores["PHONE"]
    assert phone.found >= 0.9 * phone.there
    assert phone.found >= 0.9 * (phone.found + phone.false)


def test_the_halves_share_no_template_and_miss_no_sentence(shared_data: Path) -> None:
    halves = [presidio.sentences(shared_data, half) for half in (presidio.TUNED, presidio.HELD_OUT)]
    assert sum(map(len, halves)) == 1_500
    tuned, held_out = ({sentence.text for sentence in half} for half in halves)
    assert not tuned & held_out
    for sentence in (*halves[0], *halves[1]):
        assert all(sentence.text[span.start : span.end].strip() for span in sentence.spans)


def test_every_mail_of_tau_bench_s_customers_is_removed(shared_data: Path) -> None:
    removed, there = tau_mails.measure(shared_data, Redactor())
    assert removed == there > 100


def test_clean_traces_stay_as_they_are(shared_data: Path) -> None:
    redactor = Redactor()
    texts = list(islice(clean_traces.mint(shared_data), 4_000))
    assert sum(redactor.trace().text(text) != text for text in texts) <= 4


def test_spans_are_read_back_from_placeholders() -> None:
    text = "a ann@x.org, then 1.2.3.4"
    spans = list(presidio.replaced(text, "a <EMAIL_1>, then <IP_1>"))
    assert [(s.kind, text[s.start : s.end]) for s in spans] == [
        ("EMAIL", "ann@x.org"),
        ("IP", "1.2.3.4"),
    ]
    with pytest.raises(ValueError, match="more than placeholders"):
        list(presidio.replaced(text, "b <EMAIL_1>"))


def test_wilson_s_interval() -> None:
    # Brown, Cai and DasGupta 2001; R's `prop.test(15, 16, correct = FALSE)`.
    assert wilson(15, 16) == pytest.approx((0.7167, 0.9889), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
