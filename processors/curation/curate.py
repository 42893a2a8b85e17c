"""One record in, one row out: the whole of ingest's decision, and nothing else.

A row depends on the record, the policy and (for `duplicate`) the earlier rows of its own partition;
never on batch borders, timing or who computes it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from processors.curation import extract, score
from processors.curation.dispose import Decision, dispose_feedback, dispose_run, effective_trust
from processors.curation.policy import CurationPolicy
from processors.curation.redact import Redactor, Trace
from schemas.chat import first_answer
from schemas.digests import digest_of, sha256_hex
from schemas.envelope import decode, tenant_of
from schemas.errors import InvalidEvent
from schemas.events import InputEvent
from schemas.executions import ExecutionData, PlanData, RunData
from schemas.feedback import FeedbackData, GatewayAdapterData, Subject, TelemetryData
from schemas.records import Record
from schemas.rows import Disposition, Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_REPLACEMENT = "\ufffd"


class Curator:
    """Holds what is compiled once. Pure: the same record always gives the same row."""

    def __init__(self, cluster: str, policy: CurationPolicy) -> None:
        self._cluster = cluster
        self._policy = policy
        self._redactor = Redactor(policy.identifiers)

    def row(self, record: Record, incarnation: int = 0) -> Row:
        """The row of a record, before duplicates are known. Never raises for what a record holds.

        `incarnation` says which topic of that name it was read from.
        """
        try:
            event = decode(record, self._policy.limits)
        except InvalidEvent as error:
            return self._row(
                record,
                incarnation=incarnation,
                disposition=Disposition.DEAD_LETTER,
                reasons=(error.code.name.lower(),),
                error_code=error.code.number,
            )
        try:
            facts = self._facts(event, self._redactor.trace())
        except Exception as error:  # noqa: BLE001 - fail closed: what cannot be redacted is not kept
            facts = {
                "disposition": Disposition.REVIEW,
                "reasons": ("redaction_failed", type(error).__name__),
            }
        return self._row(record, incarnation=incarnation, **self._envelope(record, event), **facts)

    def _row(self, record: Record, **facts: Any) -> Row:
        value = record.value or b""
        return Row(
            cluster=self._cluster,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            size=len(value),
            digest=sha256_hex(value),
            **{name: _without_nul(fact) for name, fact in facts.items()},
        )

    def _envelope(self, record: Record, event: InputEvent) -> dict[str, Any]:
        kafka = _utc(record.timestamp)
        stated = event.time
        return {
            "type": event.type,
            "tenant": tenant_of(event),
            "source": event.source,
            "id": event.id,
            "event_time": min(stated.astimezone(UTC), kafka) if stated else kafka,
            "time_source": "event" if stated and stated <= kafka else "kafka",
        }

    def _facts(self, event: InputEvent, trace: Trace) -> dict[str, Any]:
        data, tenant = event.data, tenant_of(event)
        if isinstance(data, RunData):
            return self._run(data, tenant, event.source, trace)
        if isinstance(data, FeedbackData):
            return self._feedback(data, tenant, event.source, trace)
        if isinstance(data, TelemetryData):
            content = trace.value(extract.telemetry_content(data))
            agent = data.agent_id or data.component
            return {**_decided(Decision()), "agent": agent, "content": _json(content)}
        if isinstance(data, GatewayAdapterData):
            return {
                **_decided(Decision()),
                "agent": data.gateway_id,
                "model": data.model,
                "adapter_digest": data.adapter_digest,
                "status": data.state,
            }
        return {"disposition": Disposition.REJECTED, "reasons": ("unknown_type",)}

    def _run(self, data: RunData, tenant: str, source: str, trace: Trace) -> dict[str, Any]:
        trust = effective_trust(data.trust, source, self._policy)
        if isinstance(data, ExecutionData):
            parts, content = score.execution_parts(data), extract.execution_content(data)
            specific = _execution_facts(data)
        elif isinstance(data, PlanData):
            parts, content = score.plan_parts(data), extract.plan_content(data)
            specific = {
                "run_id": data.plan_id,
                "plan_id": data.plan_id,
                "domain": data.domain,
                "valid": data.valid,
                "task_type": "plan",
            }
        else:  # pragma: no cover - the union has two members
            raise TypeError(type(data).__name__)
        quality = score.quality(parts)
        decision = dispose_run(data, trust=trust, quality=quality, policy=self._policy)
        redacted = trace.value(content)
        prompt = _prompt_digest(redacted)
        return {
            **_decided(decision),
            "agent": data.agent_id,
            "model": data.model.name,
            "base_digest": data.model.base_digest,
            "adapter_digest": data.model.adapter_digest,
            "arm": data.model.arm,
            "rollout_id": data.model.rollout_id,
            "session": self._hide(tenant, "session", data.session_id),
            "user": self._hide(tenant, "user", data.user_id),
            "origin": data.origin,
            "trust": trust,
            "quality": quality,
            "quality_parts": _json(parts),
            "confidence": data.confidence,
            "duration_ms": data.metrics.duration_ms,
            "cost_usd": data.metrics.cost_usd,
            "input_tokens": data.metrics.input_tokens,
            "output_tokens": data.metrics.output_tokens,
            "tools_digest": extract.tools_digest(data.tools, data.tools_digest),
            "prompt_digest": prompt,
            "content": _json(redacted),
            "pii": _json(dict(sorted(trace.counts.items()))) if trace.counts else None,
            "task": prompt,
            **specific,
        }

    def _feedback(
        self, data: FeedbackData, tenant: str, source: str, trace: Trace
    ) -> dict[str, Any]:
        trust = effective_trust(None, source, self._policy)
        content = extract.feedback_content(data)
        target = data.target
        return {
            **_decided(dispose_feedback(data, trust=trust)),
            "trust": trust,
            "feedback": data.kind,
            "author": self._hide(tenant, "author", data.author),
            "author_role": data.author_role,
            "target_run": (target.execution_id or target.plan_id) if target else None,
            "target_source": target.source if target else None,
            "value": _reward(data),
            "status": data.value if data.kind == "decision" else None,
            "content": _json(trace.value(content)) if content else None,
            "pii": _json(dict(sorted(trace.counts.items()))) if trace.counts else None,
            "subject": self._subject(tenant, data),
        }

    def _subject(self, tenant: str, data: FeedbackData) -> str | None:
        if data.subject is None:
            return None
        subject = data.subject.model_dump(exclude_none=True, include=set(Subject.model_fields))
        for kind in ("user", "session"):
            if f"{kind}_id" in subject:
                subject[kind] = self._hide(tenant, kind, subject.pop(f"{kind}_id"))
        return _json(subject)

    def _hide(self, tenant: str, kind: str, value: str | None) -> str | None:
        """A keyed HMAC-SHA256, 32 hexadecimal digits; tenant and kind separate equal values."""
        if value is None:
            return None
        text = f"{tenant}\0{kind}\0{value}".encode()
        return hmac.new(self._policy.hmac_key, text, hashlib.sha256).hexdigest()[:32]


def _execution_facts(data: ExecutionData) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "run_id": data.execution_id,
        "plan_id": data.plan_id,
        "task_type": data.task.type,
        "domain": data.task.domain,
        "difficulty": data.task.difficulty,
        "status": data.outcome.status,
        "success": data.outcome.status == "success",
        "valid": _gate(data, "valid_answer"),
    }
    if data.task.id is not None:
        facts["task"] = data.task.id
    return facts


def _gate(data: ExecutionData, name: str) -> bool | None:
    return next((gate.passed for gate in data.outcome.gates if gate.name == name), None)


def _decided(decision: Decision) -> dict[str, Any]:
    return {"disposition": decision.disposition, "reasons": tuple(decision.reasons)}


def _reward(data: FeedbackData) -> float | None:
    """Thumbs as ±1, scores scaled to 0–1."""
    if not isinstance(data.value, (int, float)) or data.kind not in ("thumb", "score"):
        return None
    if data.kind == "thumb":
        return float(data.value)
    low, high = data.scale or (0.0, 1.0)
    return (data.value - low) / (high - low)


def _prompt_digest(content: dict[str, Any]) -> str:
    """What was asked: everything before the first answer, or the goal of a plan."""
    messages = content.get("messages", ())
    asked = [[m["role"], m["content"]] for m in messages[: first_answer(messages)]]
    return digest_of(asked or content.get("goal"))


def _utc(milliseconds: int) -> datetime:
    """Kafka's timestamp; producers can set any: what no calendar has becomes its first or last."""
    try:
        return _EPOCH + timedelta(milliseconds=max(milliseconds, 0))
    except OverflowError:
        return _LAST


def _without_nul(fact: Any) -> Any:
    return fact.replace("\0", _REPLACEMENT) if type(fact) is str else fact


def _json(value: Any) -> str:
    """Raises ValueError for a number that is not finite: the row fails closed."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
