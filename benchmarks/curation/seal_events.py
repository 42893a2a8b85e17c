"""Events of a busy installation, any number of them: what the seal is measured on.

Five desks with tools of their own serve users who come once or thirty times, three runs a session. A tenth of
the prompts are altered copies of what the same user asked before, one in fifty is word for word what somebody
else asked. One run in ten is spoken of: thumbs, judges' scores, decisions, experts' edits. One in forty is a
plan. All of an event follows from its number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from schemas.digests import compact_json
from schemas.events import EXECUTION, FEEDBACK, PLAN
from schemas.records import Record

MODEL, PARTITIONS, TOPICS = "desk-8b", 8, (EXECUTION, PLAN, FEEDBACK)
FEEDBACK_EVERY, PLAN_EVERY = 10, 40
_START = datetime(2026, 1, 1, tzinfo=UTC)
_SPACING = timedelta(milliseconds=1_500)
"""A million in 17 days, so that all lie in one window."""
_USERS = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 8, 12, 20, 30)
_FIRSTS = (0, *accumulate(_USERS))
_BLOCK = sum(_USERS)
_COPIED, _ALTERED, _NEAR = 0.02, 0.12, 50_000
_SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or"))
_DESKS = {
    "rail": ("find_connection", "hold_seat", "refund_ticket"),
    "bank": ("list_accounts", "transfer", "explain_fee", "block_card"),
    "shop": ("search_items", "track_parcel", "open_return"),
    "telecom": ("check_line", "change_plan", "open_fault", "book_technician"),
    "clinic": ("find_slot", "book_slot", "send_form"),
}
_SHARES = {"adapted": 0.4, "human": 0.8, "closed": 0.8, "tool error": 0.04, "valid": 0.9}
_FIELDS = ("reference", "amount", "day", "note")


def _vocabulary() -> list[str]:
    dice = Random(1)
    return ["".join(dice.choices(_SYLLABLES, k=dice.randint(1, 4))) for _ in range(20_000)]


_WORDS = _vocabulary()


def records(begin: int, end: int) -> Iterator[Record]:
    """The records of runs and plans `begin`…`end` − 1, and of what was said of them."""
    for number in range(begin, end):
        plan = number % PLAN_EVERY == PLAN_EVERY - 1
        if plan:
            yield _record(number, PLAN, number // PLAN_EVERY, _plan(number))
        else:
            yield _record(number, EXECUTION, number, _run(number))
        if number % FEEDBACK_EVERY == 0:
            yield _record(number, FEEDBACK, number // FEEDBACK_EVERY, _said(number))


def offsets(cluster: str, count: int) -> dict[str, int]:
    """The next offset of each partition behind the first `count` of them."""
    end = -(-count // PARTITIONS)
    return {f"{cluster}:{topic}:{part}": end for topic in TOPICS for part in range(PARTITIONS)}


def _record(number: int, kind: str, place: int, data: dict[str, Any]) -> Record:
    """The `place` of its topic tells partition and offset; where plans are, runs leave gaps."""
    at = _START + number * _SPACING
    body = {
        "specversion": "1.0",
        "id": f"{kind}-{number}",
        "source": f"urn:desk:{number % 7}",
        "type": kind,
        "time": at.isoformat(),
        "data": data,
    }
    offset, partition = divmod(place, PARTITIONS)
    stamp = int(at.timestamp() * 1000)
    return Record(kind, partition, offset, stamp, None, compact_json(body))


def _first_of_user(number: int) -> int:
    """The first number of the user whose a number is; a user's numbers follow each other."""
    block, place = divmod(number, _BLOCK)
    return block * _BLOCK + _FIRSTS[bisect_right(_FIRSTS, place) - 1]


def _asked(number: int) -> list[str]:
    dice, first = Random(number), _first_of_user(number)
    chance = dice.random()
    if chance < _COPIED and number:
        return _asked(number - 1 - dice.randrange(min(number, _NEAR)))
    if chance < _COPIED + _ALTERED and number > first:
        words = _asked(dice.randrange(first, number))
        words[dice.choice((0, -1))] = dice.choice(_WORDS)
        return words
    return dice.choices(_WORDS, k=dice.randint(25, 70))


def _common(number: int, dice: Random) -> dict[str, Any]:
    """What runs and plans have in common."""
    first = _first_of_user(number)
    desk = tuple(_DESKS)[first % len(_DESKS)]
    adapter = {"adapter_digest": f"{first % 3:064x}"} if _falls(dice, "adapted") else {}
    return {
        "agent_id": f"{desk}-desk",
        "tools": [_tool(name, desk) for name in _DESKS[desk]],
        "model": {"name": MODEL, "arm": "stable", **adapter},
        "session_id": f"session-{first}-{(number - first) // 3}",
        "user_id": f"user-{first}",
        "confidence": round(dice.uniform(0.6, 1.0), 3),
        "origin": "human" if _falls(dice, "human") else "ai",
    }


def _tool(name: str, desk: str) -> dict[str, Any]:
    what = name.replace("_", " ")
    fields = {field: {"type": "string", "description": f"The {field}."} for field in _FIELDS}
    function = {
        "name": name,
        "description": f"At the {desk} desk: {what} for the customer who asks.",
        "parameters": {"type": "object", "properties": fields, "required": ["reference"]},
    }
    return {"type": "function", "function": function}


def _run(number: int) -> dict[str, Any]:
    dice = Random(-number - 1)
    common = _common(number, dice)
    names = [tool["function"]["name"] for tool in common["tools"]]
    steps = dice.randint(1, 3)
    turns = [turn for _ in range(steps) for turn in _step(dice.choice(names), dice)]
    closing = [{"role": "assistant", "content": _text(dice, 20, 60)}]
    status = dice.choices(("success", "partial", "failure"), (18, 1, 1))[0]
    valid = status == "success" or _falls(dice, "valid")
    return {
        **common,
        "execution_id": _run_id(number),
        "task": {
            "prompt": "",
            "id": f"task-{number - number % 2 if number % 40 == 1 else number}",
            "type": "chat",
            "domain": common["agent_id"].removesuffix("-desk"),
        },
        "messages": [
            {"role": "user", "content": " ".join(_asked(number))},
            *turns,
            *(closing if _falls(dice, "closed") else []),
        ],
        "outcome": {"status": status, "gates": [{"name": "valid_answer", "passed": valid}]},
    }


def _step(name: str, dice: Random) -> list[dict[str, Any]]:
    arguments = {"reference": _reference(dice), "note": _text(dice, 2, 8)}
    result = {"reference": arguments["reference"], "state": "open", "lines": _text(dice, 8, 25)}
    failed = {"error": True} if _falls(dice, "tool error") else {}
    return [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"name": name, "arguments": arguments}],
        },
        {"role": "tool", "content": compact_json(result).decode(), **failed},
    ]


def _plan(number: int) -> dict[str, Any]:
    dice = Random(-number - 1)
    common = _common(number, dice)
    names = [tool["function"]["name"] for tool in common["tools"]]
    steps = [
        {
            "id": f"s{place}",
            "description": _text(dice, 5, 12),
            "tool": dice.choice(names),
            "depends_on": [f"s{place - 1}"] if place else [],
        }
        for place in range(dice.randint(2, 6))
    ]
    return {
        **common,
        "plan_id": _run_id(number),
        "goal": " ".join(_asked(number)),
        "domain": common["agent_id"].removesuffix("-desk"),
        "steps": steps,
        "valid": _falls(dice, "valid"),
    }


def _said(number: int) -> dict[str, Any]:
    """What was said of a run: by tens of runs in turn, so that every ten have one edit."""
    turn, dice = number // FEEDBACK_EVERY % 10, Random(-number - 1)
    about = {"target": {"execution_id": _run_id(number)}}
    user = {"author": f"user-{_first_of_user(number)}", "author_role": "user"}
    if turn < 6:  # noqa: PLR2004 - six of ten
        return {"kind": "thumb", "value": -1 if turn == 0 else 1, **user, **about}
    if turn < 8:  # noqa: PLR2004 - two of ten
        judge = {"author": f"judge-{turn}", "author_role": "judge"}
        return {"kind": "score", "value": round(dice.random(), 2), **judge, **about}
    reviewer = {"author": "reviewer-1", "author_role": "reviewer"}
    if turn == 8:  # noqa: PLR2004 - one of ten
        return {"kind": "decision", "value": "accept", **reviewer, **about}
    answer = [{"role": "assistant", "content": _text(dice, 20, 60)}]
    return {"kind": "edit", "messages": answer, **reviewer, **about}


def _falls(dice: Random, what: str) -> bool:
    return dice.random() < _SHARES[what]


def _run_id(number: int) -> str:
    return f"run-{number:08}"


def _reference(dice: Random) -> str:
    return "".join(dice.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=6))


def _text(dice: Random, least: int, most: int) -> str:
    return " ".join(dice.choices(_WORDS, k=dice.randint(least, most)))
