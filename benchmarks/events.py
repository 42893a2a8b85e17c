"""Real-shaped `execution.completed` events, made from a seed: an airline desk's agent at work.

About 1.7 KB and ten steps each: a question, look-ups and bookings by tool call, what the tools
answered, a closing sentence. Every fifth event carries personal data or a secret; the others carry
what only looks like it: booking numbers, prices, dates, digits that are no card.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

PII_EVERY = 5
"""One event in so many carries personal data."""
SOURCE = "urn:lorikeet:benchmark"
_SUCCESS = 0.85
_START = datetime(2026, 1, 1, tzinfo=UTC)
_CITIES = ("JFK", "SEA", "LHR", "CDG", "OSL", "LIS", "VIE", "DUB", "ATH", "RIX", "ORD", "DEN")
_FIRST = ("mia", "noah", "olivia", "liam", "sofia", "ethan", "aarav", "yara", "chen", "ines")
_LAST = ("li", "rossi", "kim", "santos", "moore", "jansen", "patel", "kovacs", "okafor", "smith")
_ASKS = (
    "I'd like to change my flight from {a} to {b} to the next day, economy please.",
    "Could you book me from {a} to {b} on {day}? One bag, no insurance.",
    "My trip from {a} to {b} was cancelled and I would like to have my money back.",
    "Please add two bags to my reservation {code}, the flight from {a} to {b}.",
)
_DONE = (
    "Your reservation {code} is confirmed. {price} USD were charged. Anything else?",
    "I have changed {code} as you asked; the difference of {price} USD goes to your voucher.",
    "The refund of {price} USD for {code} is on its way and takes five to seven days.",
)
_REMARKS = (
    "You can reach me at {email} or {phone}.",
    "Please use my card {card}, it is the same as last time.",
    "My number is {phone}, the ticket goes to {email}.",
    "For the refund: {iban}. My wife is at {email}.",
    "My social security number is {ssn}, if you need it.",
)


def event(number: int, seed: int = 0) -> bytes:
    """The event of a number, in structured mode: the same bytes for the same number and seed."""
    dice = Random(seed * 1_000_003 + number)
    facts = _facts(dice)
    at = _START + timedelta(milliseconds=37 * number)
    remark = dice.choice(_REMARKS).format(**_personal(dice)) if number % PII_EVERY == 0 else None
    body = {
        "specversion": "1.0",
        "id": event_id(number, seed),
        "source": SOURCE,
        "type": "execution.completed",
        "time": at.isoformat(),
        "data": _data(dice, facts, remark),
    }
    return _compact(body).encode()


def event_id(number: int, seed: int = 0) -> str:
    """The `id` of an event."""
    return f"run-{seed}-{number:08}"


def carries_pii(number: int) -> bool:
    """Whether the event of a number holds personal data."""
    return number % PII_EVERY == 0


def _facts(dice: Random) -> dict[str, Any]:
    start, end = dice.sample(_CITIES, 2)
    return {
        "a": start,
        "b": end,
        "code": "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=6)),
        "flight": f"HAT{dice.randrange(100, 300)}",
        "price": dice.randrange(79, 900),
        "day": f"2026-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
        "user": f"{dice.choice(_FIRST)}_{dice.choice(_LAST)}_{dice.randrange(1000, 9999)}",
        "payment": f"card_{dice.randrange(1_000_000, 9_999_999)}",
    }


def _data(dice: Random, facts: dict[str, Any], remark: str | None) -> dict[str, Any]:
    messages = _messages(dice, facts, remark)
    success = dice.random() < _SUCCESS
    return {
        "execution_id": f"{dice.getrandbits(64):016x}",
        "agent_id": f"airline-desk-{dice.randrange(8)}",
        "task": {"prompt": "Serve the customer.", "type": "booking", "domain": "airline"},
        "messages": messages,
        "tools_digest": "5b1f0c6a",
        "outcome": {"status": "success" if success else "failure", "score": 1.0 * success},
        "confidence": round(dice.uniform(0.6, 1.0), 3),
        "model": {"name": "desk-8b", "arm": "stable"},
        "metrics": {
            "duration_ms": dice.randrange(800, 30_000),
            "cost_usd": round(dice.uniform(0.0005, 0.04), 6),
            "input_tokens": dice.randrange(500, 9_000),
            "output_tokens": dice.randrange(40, 900),
        },
        "session_id": f"s-{dice.getrandbits(48):012x}",
        "user_id": facts["user"],
    }


def _messages(dice: Random, facts: dict[str, Any], remark: str | None) -> list[dict[str, Any]]:
    question = dice.choice(_ASKS).format(**facts)
    found = {"user_id": facts["user"], "reservations": [facts["code"]]}
    offer = [
        {"flight": facts["flight"], "price": facts["price"], "seats": dice.randrange(1, 30)},
        {"flight": f"HAT{dice.randrange(100, 300)}", "price": dice.randrange(79, 900)},
    ]
    booked = {"reservation": facts["code"], "ticket": str(dice.randrange(10**11, 10**12))}
    search = {"origin": facts["a"], "destination": facts["b"], "date": facts["day"]}
    book = {"user_id": facts["user"], "flight": facts["flight"], "payment": facts["payment"]}
    closing = dice.choice(_DONE).format(**facts)
    return [
        {"role": "user", "content": question},
        *_step("get_user_details", {"user_id": facts["user"]}, found, dice),
        *_step("search_direct_flight", search, offer, dice),
        {"role": "user", "content": f"The first one, for {facts['price']}. {remark or 'Thanks!'}"},
        *_step("book_reservation", book, booked, dice),
        {"role": "assistant", "content": closing},
        {"role": "user", "content": "No, that is all."},
    ]


def _step(name: str, arguments: Any, result: Any, dice: Random) -> list[dict[str, Any]]:
    """A tool call as OpenAI nests it, its arguments a JSON text, and the tool's answer."""
    call = f"call_{dice.getrandbits(40):010x}"
    function = {"name": name, "arguments": _compact(arguments)}
    return [
        {"role": "assistant", "tool_calls": [{"id": call, "function": function}]},
        {"role": "tool", "tool_call_id": call, "content": _compact(result)},
    ]


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _personal(dice: Random) -> dict[str, str]:
    name = f"{dice.choice(_FIRST)}.{dice.choice(_LAST)}"
    return {
        "email": f"{name}{dice.randrange(100)}@example.com",
        "phone": f"+1 212 {dice.randrange(200, 999)} {dice.randrange(1000, 9999)}",
        "card": _with_luhn(f"4{dice.randrange(10**14):014}"),
        "iban": _german_iban(f"{dice.randrange(10**18):018}"),
        "ssn": f"{dice.randrange(100, 600)}-{dice.randrange(10, 99)}-{dice.randrange(1000, 9999)}",
    }


def _with_luhn(digits: str) -> str:
    """The digits with the check digit of ISO/IEC 7812-1 behind them."""
    doubled = [int(d) * (2 - place % 2) for place, d in enumerate(reversed(digits))]
    return digits + str(-sum(d // 10 + d % 10 for d in doubled) % 10)


def _german_iban(account: str) -> str:
    """A DE account with the check digits of ISO 13616."""
    return f"DE{98 - int(account + '131400') % 97:02}{account}"
