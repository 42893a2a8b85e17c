"""Which records are dead letters: an oracle written from docs/events.md, with plain `json` alone.

It knows nothing of the code under test. What a number, a flag or a time may also be written as
("0.5", 1 for true, seconds since 1970) is stated here in its own words.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from schemas.envelope import Limits
from schemas.records import Record

Check = Callable[[Any], bool]
Pairs = list[tuple[str, Any]]
MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?([Zz]|[+\-\u2212]\d\d:?\d\d)"
)
STRICT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
NUMERAL = re.compile(r"\s*[+-]?(\d+(_\d+)*\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
LAST = 253_402_300_800
"""The first second of the year 10000."""
WHOLE = re.compile(r"\s*[+-]?\d+(_\d+)*(\.0+)?\s*", re.ASCII)
MOST = 2**63
"""From here on a number with a fraction or an exponent is no whole number."""
FLAGS = {"0", "1", "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off"}


class Dead(Exception):
    """The record cannot be read."""


class Object(dict[str, Any]):
    """A JSON object that remembers what else was stated under a key."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        self.first = dict(reversed(pairs))


def is_dead(record: Record, limits: Limits) -> bool:
    """Whether a record is a dead letter."""
    try:
        _judge(record, limits)
    except Dead:
        return True
    return False


def _refuse(problem: object, why: str) -> None:
    if problem:
        raise Dead(why)


def _judge(record: Record, limits: Limits) -> None:
    headers = _headers(record, limits)
    kind = headers.get("content-type")
    structured = (kind or "").lower().startswith("application/cloudevents")
    if structured or not any(name.startswith("ce_") for name in headers):
        _refuse(headers.get("ce_dataref") is not None, "dataref")
        event = _parsed(record.value, limits)
        _refuse(kind is not None and not _json_media(kind), "content type")
        _refuse(not isinstance(event, dict), "no object")
        _attributes(event)
        if event["type"] in DATA:
            _refuse(event.get("datacontenttype") and not _json_media(event["datacontenttype"]), "")
            _typed(event, event.get("data"), limits)
            _twice(event, ("id", "source", "type", "tenantid", "data"))
        return
    event = {name[3:]: text for name, text in headers.items() if name.startswith("ce_")}
    _attributes(event)
    if event["type"] in DATA:
        _refuse(kind is None or not _json_media(kind), "content type")
        _typed(event, _parsed(record.value, limits), limits)


def _headers(record: Record, limits: Limits) -> dict[str, str]:
    found: dict[str, str] = {}
    _refuse(len(record.headers) > 1_000, "headers")
    size = sum(len(name) + len(value or b"") for name, value in record.headers)
    _refuse(size > limits.max_bytes, "headers")
    for name, value in record.headers:
        known = name.lower()
        if known.startswith("ce_") or known == "content-type":
            try:
                text = (value or b"").decode()
            except UnicodeDecodeError:
                raise Dead("header") from None
            _refuse(found.get(known, text) != text, "two values")
            found[known] = text
    return found


def _json_media(kind: str) -> bool:
    media, *rest = kind.lower().split(";")
    stated = [part.split("=", 1) for part in rest if "=" in part]
    charsets = [value.strip(' "') for name, value in stated if name.strip() == "charset"]
    batch = media.strip().startswith("application/cloudevents-batch")
    sound = all(charset in ("utf-8", "utf8", "us-ascii") for charset in charsets)
    return media.strip().endswith("json") and sound and not batch


def _parsed(value: bytes | None, limits: Limits) -> Any:
    _refuse(not value or len(value) > limits.max_bytes, "size")

    def constant(name: str) -> None:
        raise Dead(name)

    def finite(text: str) -> float:
        _refuse(math.isinf(float(text)), "beyond float")
        return float(text)

    def whole(text: str) -> int:
        finite(text)
        return int(text)

    try:
        found = json.loads(
            (value or b"").decode(),
            object_pairs_hook=Object,
            parse_constant=constant,
            parse_float=finite,
            parse_int=whole,
        )
    except (ValueError, RecursionError):
        raise Dead("no JSON") from None
    _walk(found, limits.max_depth)
    return found


def _walk(value: Any, depth: int) -> None:
    if isinstance(value, str):
        _refuse(any("\ud800" <= c <= "\udfff" for c in value), "surrogate")
    elif isinstance(value, (dict, list)):
        _refuse(depth == 0, "deep")
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        for item in inside:
            _walk(item, depth - 1)


def _attributes(event: dict[str, Any]) -> None:
    for name in ("id", "source", "type"):
        _refuse(not isinstance(event.get(name), str) or not event[name], name)
    _refuse(event.get("specversion") != "1.0", "specversion")
    for name in (
        *("subject", "datacontenttype", "dataschema", "tenantid"),
        *("partitionkey", "traceparent", "tracestate"),
    ):
        _refuse(not isinstance(event.get(name), str | None), name)
    time = event.get("time")
    _refuse(time is not None and not (isinstance(time, str) and STRICT.fullmatch(time)), "time")
    _refuse(time is not None and not _utc(time), "time")


def _utc(text: str) -> bool:
    if not _moment(text):
        return False
    cut = re.sub(r"[.]\d+", "", text.upper().replace("Z", "+00:00"))
    try:
        datetime.fromisoformat(cut).astimezone(UTC)
    except OverflowError:
        return False
    return True


def _typed(event: dict[str, Any], data: Any, limits: Limits) -> None:
    _refuse(event.get("dataref") is not None or event.get("data_base64") is not None, "elsewhere")
    _refuse(not _fits(data, DATA[event["type"]]), "data")
    stated, tenant = data.get("tenant_id"), event.get("tenantid")
    _refuse(stated and tenant and stated != tenant, "tenants")
    if event["type"] == "execution.completed":
        _refuse(len(data.get("messages", ())) > limits.max_messages, "messages")
    if event["type"] == "planning.completed":
        _refuse(_ring(data.get("steps", [])), "cycle")
    run = {"execution.completed": "execution_id", "planning.completed": "plan_id"}
    _twice(data, ("tenant_id", run.get(event["type"], "tenant_id")))


def _twice(stated: Any, names: tuple[str, ...]) -> None:
    for name in names:
        known = stated.get(name)
        _refuse(known is not None and stated.first[name] != known, "twice")


def _ring(steps: list[dict[str, Any]]) -> bool:
    needs = {step["id"]: list(step.get("depends_on", [])) for step in steps}
    while True:
        free = [name for name, wanted in needs.items() if not any(w in needs for w in wanted)]
        if not free:
            return bool(needs)
        for name in free:
            del needs[name]


def _fits(value: Any, shape: Any) -> bool:
    """Whether a value has a shape: a check, an object's fields, or a list of one item's shape."""
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    if not isinstance(shape, dict):
        return bool(shape(value))
    if not isinstance(value, dict):
        return False
    for name, (inner, need) in ((n, s) for n, s in shape.items() if n != "*"):
        if name not in value:
            if need == "required":
                return False
        elif not (value[name] is None and need == "nullable") and not _fits(value[name], inner):
            return False
    rule = shape.get("*")
    return rule is None or bool(rule(value))


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, str) and value.isascii() and NUMERAL.fullmatch(value):
        found = float(value)
        return None if math.isinf(found) else found
    return None


def _within(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        found = _number(value)
        return found is not None and low <= found <= high

    return check


def _whole(value: Any) -> bool:
    if isinstance(value, str):
        return bool(WHOLE.fullmatch(value)) and float(value) >= 0
    if isinstance(value, float):
        return value.is_integer() and 0 <= value < MOST
    return isinstance(value, int) and value >= 0


def _flag(value: Any) -> bool:
    return isinstance(value, bool) or value in (0, 1) or str(value).lower() in FLAGS


def _moment(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    if not isinstance(value, str) or re.fullmatch(r"[+-]?\d+(\.\d+)?", value, re.ASCII):
        return abs(float(value)) < LAST
    found = MOMENT.fullmatch(str(value))
    if not found:
        return False
    parts = [int(part or 0) for part in found.groups()[:6]]
    zone = found[7].replace(":", "")
    hours, minutes = (0, 0) if zone in "Zz" else (int(zone[1:3]), int(zone[3:5]))
    try:
        datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return False
    return hours < 24 and minutes < 60


def _one_of(*words: str) -> Check:
    return lambda value: value in words if isinstance(value, str) else False


def _texts(value: Any) -> bool:
    """A map is read entry by entry: what a later one replaces has to fit as well."""
    return isinstance(value, Object) and all(_string(text) for _, text in value.pairs)


def _numbers(value: Any) -> bool:
    return isinstance(value, Object) and all(_number(v) is not None for _, v in value.pairs)


def _anything(_value: Any) -> bool:
    return True


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _call(value: Any) -> bool:
    """Flat, or with all of it in `function`."""
    if not isinstance(value, dict):
        return False
    flat = value
    if isinstance(value.get("function"), dict):
        inner = value["function"]
        flat = {"id": value.get("id"), "name": inner.get("name")}
        flat["arguments"] = inner.get("arguments")
    arguments = flat.get("arguments")
    sound = arguments is None or isinstance(arguments, (dict, str))
    return _string(flat.get("name")) and isinstance(flat.get("id"), str | None) and sound


def _content(value: Any) -> bool:
    return isinstance(value, (str, list))


def _named(*names: str, shape: Any = _string) -> dict[str, Any]:
    return dict.fromkeys(names, (shape, "nullable"))


SHARE, POSITIVE = _within(0, 1), _within(0, math.inf)
MESSAGE = {
    "role": (_string, "required"),
    **_named("content", shape=_content),
    **_named("tool_calls", shape=[_call]),
    **_named("tool_call_id", "name"),
    **_named("error", shape=_flag),
    **_named("started_at", shape=_moment),
    **_named("duration_ms", "cost_usd", shape=POSITIVE),
    **_named("input_tokens", "output_tokens", shape=_whole),
    **_named("reward", shape=_within(-math.inf, math.inf)),
}
RUN_DATA = {
    "agent_id": (_text, "required"),
    **_named("tools", shape=[_object]),
    **_named("tools_digest", "session_id", "user_id", "tenant_id", "phase"),
    **_named("sampling", shape=_object),
    "model": (
        {
            **_named("name", shape=_text),
            **_named("base_digest", "adapter", "adapter_digest", "rollout_id"),
            **_named("arm", shape=_one_of("stable", "baseline", "candidate", "shadow")),
        },
        "optional",
    ),
    "metrics": (
        {
            **_named("duration_ms", "cost_usd", "cost_budget_usd", shape=POSITIVE),
            **_named("input_tokens", "output_tokens", shape=POSITIVE),
            **_named("security_criticals", "api_breakages", shape=POSITIVE),
            **_named("db_migration_failures", shape=POSITIVE),
            **_named("grounding_score", "contradiction_rate", "rag_coverage", shape=SHARE),
        },
        "optional",
    ),
    **_named("origin", shape=_one_of("human", "ai", "hybrid")),
    **_named("trust", shape=_one_of("verified", "internal", "external", "unknown")),
    "policies": ([{"kind": (_text, "required"), **_named("version", "digest")}], "optional"),
    **_named("confidence", shape=SHARE),
    **_named("started_at", "ended_at", shape=_moment),
    "labels": (_texts, "optional"),
}
EXECUTION = {
    **RUN_DATA,
    "execution_id": (_text, "required"),
    "task": (
        {
            "prompt": (_string, "required"),
            **_named("id", "type", "domain"),
            **_named("difficulty", shape=SHARE),
        },
        "required",
    ),
    "messages": ([MESSAGE], "optional"),
    **_named("prompt_template_digest", "plan_id"),
    "outcome": (
        {
            "status": (
                _one_of("success", "failure", "partial", "timeout", "cancelled", "error"),
                "required",
            ),
            **_named("score", shape=SHARE),
            **_named("error_code", "error_message"),
            "gates": (
                [
                    {
                        "name": (_text, "required"),
                        "passed": (_flag, "required"),
                        **_named("detail"),
                    }
                ],
                "optional",
            ),
        },
        "required",
    ),
    "artifacts": (
        [{"id": (_text, "required"), **_named("kind", "uri", "sha256")}],
        "optional",
    ),
}
PLAN = {
    **RUN_DATA,
    "plan_id": (_text, "required"),
    "goal": (_text, "required"),
    **_named("domain", "validator", "strategy", "error"),
    "steps": (
        [
            {
                "id": (_text, "required"),
                **_named("description", "tool"),
                **_named("arguments", shape=_object),
                "depends_on": ([_string], "optional"),
            }
        ],
        "optional",
    ),
    **_named("valid", shape=_flag),
    **_named("replans", shape=_whole),
    **_named("score", shape=SHARE),
}


def _target(value: dict[str, Any]) -> bool:
    return (value.get("execution_id") is None) != (value.get("plan_id") is None)


def _subject(value: dict[str, Any]) -> bool:
    known = {"user_id", "session_id", "source", "execution_id", "plan_id"}
    given = {name for name in known if value.get(name) is not None}
    shapes: list[set[str]] = [{"user_id"}, {"session_id"}, {"source"}]
    return given in [*shapes, {"source", "execution_id"}, {"source", "plan_id"}]


def _judged(value: dict[str, Any]) -> bool:
    kind, stated = value["kind"], value.get("value")
    if kind == "erasure":
        return value.get("subject") is not None
    if value.get("target") is None:
        return False
    if kind == "thumb":
        return stated in (1, -1)
    if kind == "decision":
        return stated in ("accept", "reject")
    if kind == "edit":
        return bool(value.get("messages")) or value.get("answer") is not None
    return True


RUNS = ("execution_id", "plan_id", "source")
DATA: dict[str, Any] = {
    "execution.completed": EXECUTION,
    "planning.completed": PLAN,
    "feedback.received": {
        "kind": (
            _one_of("thumb", "score", "edit", "comment", "decision", "erasure"),
            "required",
        ),
        "author": (_text, "required"),
        "author_role": (_one_of("user", "expert", "judge", "reviewer"), "required"),
        "target": ({**_named(*RUNS, shape=_text), "*": _target}, "nullable"),
        "subject": (
            {**_named("user_id", "session_id", *RUNS, shape=_text), "*": _subject},
            "nullable",
        ),
        **_named("tenant_id", "comment"),
        **_named("value", shape=lambda value: not isinstance(value, (list, dict))),
        **_named("confidence", shape=SHARE),
        **_named("messages", shape=[MESSAGE]),
        **_named("judge", shape=_object),
        "*": _judged,
    },
    "telemetry.sampled": {
        **_named("agent_id", "component", shape=_text),
        **_named("tenant_id"),
        "sampled_at": (_moment, "required"),
        **_named("cpu_usage", "memory_usage", "error_rate", shape=SHARE),
        **_named("response_time_ms", shape=POSITIVE),
        **_named("failed", shape=_flag),
        "values": (_numbers, "optional"),
        "*": lambda value: value.get("agent_id") is not None or value.get("component") is not None,
    },
    "gateway.adapter": {
        **dict.fromkeys(("gateway_id", "model", "adapter"), (_text, "required")),
        **_named("replica", "tenant_id", "adapter_digest", "detail", "decision_id"),
        "state": (_one_of("activated", "failed", "unloaded"), "required"),
    },
}
