"""Redaction: what is found, and what only looks like it."""

from __future__ import annotations

import pytest

from processors.curation.checksums import luhn
from processors.curation.redact import Redactor
from schemas.digests import compact_json

B64 = "Ab3_" * 10
FOUND = {
    "OpenAI key": ("KEY", "sk-" + "a1B2" * 8),
    "OpenAI project key": ("KEY", "sk-proj-" + "a1B2" * 8),
    "Anthropic key": ("KEY", "sk-ant-" + "a1B2" * 8),
    "GitHub token": ("KEY", "ghp_" + "a1B2" * 9),
    "AWS key": ("KEY", "AKIA" + "A1B2" * 4),
    "Slack token": ("KEY", "xoxb-1234567890-abc"),
    "Google key": ("KEY", "AIza" + "a1B2c" * 7),
    "GitLab token": ("KEY", "glpat-" + "a1B2" * 5),
    "Hugging Face token": ("KEY", "hf_" + "a1B2" * 8),
    "JWT": ("KEY", f"eyJ{B64}.{B64}.{B64}"),
    "mail": ("EMAIL", "ann.lee+trips@mail.example.co.uk"),
    "IBAN, compact": ("IBAN", "DE89370400440532013000"),
    "IBAN, spaced": ("IBAN", "GB29 NWBK 6016 1331 9268 19"),
    "IBAN, in small letters": ("IBAN", "de89370400440532013000"),
    "IBAN, length a multiple of four": ("IBAN", "BE68 5390 0754 7034"),
    "Visa": ("CARD", "4111 1111 1111 1111"),
    "Visa of 13 digits": ("CARD", "4222222222222"),
    "Mastercard, dashed": ("CARD", "5555-5555-5555-4444"),
    "American Express": ("CARD", "3782 822463 10005"),
    "Diners": ("CARD", "30569309025904"),
    "19 digits": ("CARD", "6304000000000000000"),
    "social security number": ("SSN", "123-45-6789"),
    "IPv4": ("IP", "192.168.0.254"),
    "IPv6": ("IP", "2001:db8:85a3::8a2e:370:7334"),
    "IPv6, whole": ("IP", "6e40:4041:c617:e898:c11:40d2:c669:2eb4"),
    "IPv6, short": ("IP", "fe80::1"),
    "UnionPay, 19 digits": ("CARD", "6205500000000000004"),
    "JCB of 15 digits": ("CARD", "180000826105910"),
    "mail, German": ("EMAIL", "jörg.weiß@müller.de"),
    "mail, in an address": ("EMAIL", "ann%40x.org"),
    "phone, dialled abroad": ("PHONE", "0033 1 23 45 67 89"),
    "phone, with an extension": ("PHONE", "415-555-2671x123"),
    "phone, trunk prefix beside the country": ("PHONE", "+41 (0)38 549 02 90"),
    "private key": (
        "KEY",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMHcCAQ+/=\n-----END EC PRIVATE KEY-----",
    ),
    "phone, international": ("PHONE", "+33 1 23 45 67 89"),
    "phone, with an area code": ("PHONE", "+1 (415) 555-2671"),
    "phone, national": ("PHONE", "(415) 555-2671"),
}
KEPT = {
    "a number that fails Luhn": "4111 1111 1111 1112",
    "an order number of 12 digits": "411111111111",
    "an IBAN with a wrong check": "DE89370400440532013001",
    "an IBAN too short": "NO9386011117",
    "area 000": "000-45-6789",
    "area 666": "666-45-6789",
    "area 9xx": "900-45-6789",
    "group 00": "123-00-6789",
    "serial 0000": "123-45-0000",
    "an octet over 255": "256.1.1.1",
    "an octet with a leading zero": "010.1.1.1",
    "a version": "1.2.3",
    "a version of five parts": "1.2.3.4.5",
    "a slice": "x[1::2] and [::2] and a::b",
    "a fingerprint": ":".join(["ab"] * 16),
    "a time": "12:30:45",
    "milliseconds": "1700000000008",
    "a fraction": "0.4111111111111111",
    "a power of two": "35184372088832",
    "12 digits": "630427373398",
    "nine digits": "378051120",
    "a decorator": "@pytest.mark.parametrize",
    "a home and its street": "704 1436 Redbud",
    "a namespace": "std::vector",
    "a date": "2026-03-01 12:30:45",
    "a price": "USD 1,234,567.89",
    "a mention": "@ann",
    "a mail without a domain": "ann@localhost",
    "a short key": "sk-abc",
    "words with hyphens": "task-management-and-something-else, disk-encryption-of-laptops",
    "a commit": "f1aa7e679b4053f7b3c376c5dc1e6e84f97cfae4",
    "an UUID": "0b0fcd0e-2d3c-4dd1-9d19-1a5d0a9fbd3a",
    "a placeholder": "<EMAIL_1> wrote to <CARD_2>",
    "columns of numbers": "4111\t1111\t1111\t1112 | 4111 | 111 | 1111 | 11111",
    "signs of other scripts": "« 12 – 14 ½ », \u200fشكرا\u200f 👩\u200d💻, caf\\u00e9",
    "a path": "C:\\users\\u12\\ann",
    "authorization of something": "authorization: required_for_everybody",
}
BESIDE = {
    "expiry": ("pay 4111 1111 1111 1111 12/27", "pay <CARD_1> 12/27"),
    "compact, expiry": ("4111111111111111 12 27", "<CARD_1> 12 27"),
    "security code": ("4111 1111 1111 1111 123", "<CARD_1> 123"),
    "four digits before": ("1234 4111 1111 1111 1111", "1234 <CARD_1>"),
    "another card": ("4111 1111 1111 1111 378282246310005", "<CARD_1> <CARD_2>"),
    "a fraction before": ("0.5 4111111111111111", "0.5 <CARD_1>"),
    "amount before": ("2 4111111111111111", "2 <CARD_1>"),
    "both": ("12 4111-1111-1111-1111 7", "12 <CARD_1> 7"),
    "currency": ("to BE68539007547034 EUR 100", "to <IBAN_1> EUR 100"),
    "a word in capitals": ("BE68 5390 0754 7034 PAID", "<IBAN_1> PAID"),
    "an escaped line break": (r"A=1\nsk-" + "a1B2" * 8, r"A=1\n<KEY_1>"),
    "punctuation": ("(ann@x.org), 10.0.0.1.", "(<EMAIL_1>), <IP_1>."),
    "a sign before": ("it costs -ann@x.org", "it costs -<EMAIL_1>"),
    "its name": ("my card number is 630427373398", "my card number is <CARD_1>"),
    "the words": (
        "her social security number is 378 05 1120.",
        "her social security number is <SSN_1>.",
    ),
    "a caller": ("call me at 030 1234567 please", "call me at <PHONE_1> please"),
    "a fax": ("655 437 108 fax", "<PHONE_1> fax"),
    "its place": ("https://ann:s3cret@x.org/a", "https://ann:<KEY_1>@x.org/a"),
    "a header": (
        "-H 'Authorization: Basic YW5uOnMzY3JldHBhc3M='",
        "-H 'Authorization: Basic <KEY_1>'",
    ),
    "a variable": ('DD_API_KEY="9f8a7c6b5d4e3f2a1b0c"', 'DD_API_KEY="<KEY_1>"'),
    "an underscore": ("id_4111111111111111", "id_<CARD_1>"),
    "a day": ("call +1 415 555 2671 12 March", "call <PHONE_1> 12 March"),
    "hours": ("+1 415 555 2671 24/7, +14155552671 10:00", "<PHONE_1> 24/7, <PHONE_1> 10:00"),
    "an amount": ("+1-415-555-2671 100 USD", "<PHONE_1> 100 USD"),
    "a street": ("+44 20 7946 0958 10 Downing Street", "<PHONE_1> 10 Downing Street"),
    "the next number": ("+1 415 555 2671 415 555 2672", "<PHONE_1> <PHONE_2>"),
    "what looks like an extension": ("0044 20 7946 0958 10 x12", "<PHONE_1> 10 x12"),
    "a line break": ("ssn:\n378051120", "ssn:\n<SSN_1>"),
    "a tab": ("ssn\t378051120, phone\t4155552671", "ssn\t<SSN_1>, phone\t<PHONE_1>"),
    "a line break before a number": ("phone\n4155552671", "phone\n<PHONE_1>"),
    "a name of two words": ("My API key: 9f8a7c6b5d4e3f2a1b0c", "My API key: <KEY_1>"),
    "a sentence": ("the API key is 9f8a7c6b5d4e3f2a1b0c.", "the API key is <KEY_1>"),
    "a bare header": ("Authorization: 9f8a7c6b5d4e3f2a1b0c", "Authorization: <KEY_1>"),
    "a list": ('"phones": ["4155552671"]', '"phones": ["<PHONE_1>"]'),
    "an address of a page": (
        "?u=1%20ann%40x.org&v=%22bob%40x.org",
        "?u=1%20<EMAIL_1>&v=%22<EMAIL_2>",
    ),
    "quoted-printable": ("mail=3Dann@x.org", "mail=3D<EMAIL_1>"),
    "no space between words": ("邮箱ann@x.org或者", "邮箱<EMAIL_1>或者"),
    "other scripts": ("почта ann@x.org，电话 +33 123456789。", "почта <EMAIL_1>，电话 <PHONE_1>。"),
}


WRITTEN = {
    "spaces that do not break": "4111\u00a01111\u00a01111\u00a01111",
    "narrow spaces": "FR14\u202f2004\u202f1010\u202f0505\u202f0001\u202f3M02\u202f606",
    "phone, narrow spaces": "+33\u202f1\u202f42\u202f68\u202f53\u202f00",
    "hyphens that do not break": "378\u201105\u20111120",
    "en dashes": "415\u2013555\u20132671",
    "letters of full width": "\uff41\uff4e\uff4e\uff20x\uff0eorg",
    "digits of full width": "".join(chr(ord(c) + 0xFEE0) for c in "4111111111111111"),
    "Arabic digits": "".join(chr(0x660 + int(c)) for c in "4111111111111111"),
    "nothing to be seen": "4111\u200b1111\u200b1111\u200b1111",
    "a soft hyphen": "ann@exam\u00adple.org",
    "marks of direction": "+33 1 42\u202c 68 53 00",
    "card, tabs": "4111\t1111\t1111\t1111",
    "card, lines": "4111\n1111\n1111\n1111",
    "card, lines of Windows": "4111\r\n1111\r\n1111\r\n1111",
    "card, wide": "4111  1111  1111  1111",
    "card, dots": "4111.1111.1111.1111",
    "card, underscores": "4111_1111_1111_1111",
    "card, a table": "4111 | 1111 | 1111 | 1111",
    "American Express, dots": "3782.822463.10005",
    "mail, Cyrillic": "иван@почта.рф",
    "mail, Chinese": "用户@例子.公司",
    "mail, Arabic": "علي@مثال.إختبار",
    "mail, an ending of other letters": "ann@example.köln",
    "mail, two scripts": "\u0430nn@example.org",
    "mail, accents apart": "ju\u0308rgen@bu\u0308cher.de",
    "mail, escaped": r"j\u00fcrgen@b\u00fccher.de",
    "mail, escaped twice": r"j\\u00fcrgen@b\\u00fccher.de",
    "mail, an ending in ASCII": "ann@example.xn--p1ai",
}


@pytest.mark.parametrize("name", WRITTEN)
def test_it_is_found_however_it_is_written(name: str) -> None:
    text, trace = WRITTEN[name], Redactor().trace()
    redacted = trace.text(f"it is {text}, « keep\u00a0it »")
    (kind,) = trace.counts
    assert redacted == f"it is <{kind}_1>, « keep\u00a0it »"
    held = {"to": [text, f"é {text}"]}
    whole = Redactor().trace_of(compact_json(held))
    assert whole is not None
    assert whole.value(held) == {"to": [f"<{kind}_1>", f"é <{kind}_1>"]}


SPELLED = {
    "+14155552671": [
        *("+1 415 555 2671", "call me at 4155552671", "phone 14155552671", "tel: 1 415 555 2671"),
        *("phone: 415 5552671", "011 1 415 555 2671", "(415) 555-2671 x12", "415\u2011555\u20112671"),
    ],
    "+33612345678": ["+33 6 12 34 56 78", "tel 06 12345678", "Tel. 33 612345678", "fax: 0612345678"],
    "jürgen@bücher.de": [
        *("Jürgen@bücher.de", "ju\u0308rgen@bu\u0308cher.de", r"j\u00fcrgen@b\u00fccher.de"),
        *("j%C3%BCrgen%40b\u00fccher.de", "j\uff55\u0308rgen@bücher.de"),
    ],
    "ann+a@x.org": ["ann+a@x.org", "ann%2Ba%40x.org", r"ann\u002ba\u0040x.org", "ANN+a＠X.org"],
}  # fmt: skip


@pytest.mark.parametrize("value", SPELLED, ids=[*map(ascii, SPELLED)])
def test_a_value_has_one_form_however_it_is_written(value: str) -> None:
    redactor = Redactor(regions=("US", "FR"))
    for text in SPELLED[value]:
        trace = redactor.trace()
        trace.text(f"so {text}, then")
        assert [*trace.found.values()] == [{value: 1}], text


@pytest.mark.parametrize("name", FOUND)
def test_each_kind_is_found(name: str) -> None:
    kind, text = FOUND[name]
    trace = Redactor().trace()
    assert trace.text(f"it is {text}, keep it") == f"it is <{kind}_1>, keep it"
    assert dict(trace.counts) == {kind: 1}
    assert Redactor().trace().text(text) == f"<{kind}_1>"


@pytest.mark.parametrize("name", KEPT)
def test_what_only_looks_like_it_is_kept(name: str) -> None:
    trace = Redactor().trace()
    assert trace.text(f"it is {KEPT[name]} ok") == f"it is {KEPT[name]} ok"
    assert not trace.counts


@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_a_finding_neither_hides_it_nor_goes_with_it(name: str) -> None:
    text, expected = BESIDE[name]
    assert Redactor().trace().text(text) == expected


NO_PHONES = {
    "a calendar": "25 26 27 28 29 30 31",
    "a listing": "36 2023-06-18 19:20",
    "a fraction of a second": "20:57:01.072390424",
    "an order number": "4155552671",
    "a home and its street": "704 1436 Redbud",
    "a postcode": "61489-120",
    "an aim": "reach 1000000 users, call 1234567",
    "a field": '{"text": 2024001234, "contact": "2024001234"}',
    "a date": "18.06.2023 17:20",
    "years": "Tolkien (1892\u20131973), Haney (1984-1991)",
}
PHONES = {
    "030 1234 5678": ("DE", "+493012345678"),
    "(030) 1234-5678": ("DE", "+493012345678"),
    "07400 123456": ("GB", "+447400123456"),
    "07400123456": ("GB", "+447400123456"),
    "06 12 34 56 78": ("FR", "+33612345678"),
    "02 7636 1234": ("IT", "+390276361234"),
    "415-555-2671": ("US", "+14155552671"),
    "0033 6 12 34 56 78": ("US", "+33612345678"),
    "+41 (0)44 668 18 00": ("US", "+41446681800"),
}
EVERYWHERE = Redactor(regions=("US", "GB", "DE", "FR"))


@pytest.mark.parametrize("text", PHONES)
def test_national_numbers_of_the_regions_that_are_named(text: str) -> None:
    region, number = PHONES[text]
    trace = Redactor(regions=(region,)).trace()
    assert trace.text(f"so {text}, then") == "so <PHONE_1>, then"
    assert trace.found == {"PHONE": {number: 1}}


@pytest.mark.parametrize("text", ["030 1234 5678", "07400123456", "06 12 34 56 78"])
def test_national_numbers_of_other_regions_are_not_looked_for(text: str) -> None:
    assert Redactor().trace().text(f"so {text}, then") == f"so {text}, then"


@pytest.mark.parametrize("name", [*NO_PHONES, *KEPT])
def test_what_is_no_number_of_any_region_is_kept(name: str) -> None:
    text = f"so {(NO_PHONES | KEPT)[name]} then"
    assert EVERYWHERE.trace().text(text) == text


@pytest.mark.parametrize("place", range(16))
def test_luhn_finds_every_wrong_digit(place: int) -> None:
    number = "4539578763621486"
    assert luhn(number)
    wrong = [number[:place] + d + number[place + 1 :] for d in "0123456789" if d != number[place]]
    assert not any(map(luhn, wrong))


def test_luhn_finds_swapped_neighbours() -> None:
    assert not luhn("4539578763621468")
    assert luhn("0000000000000000")
