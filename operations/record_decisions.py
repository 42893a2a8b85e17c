"""What a reviewer decides, as events like any other feedback."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from processors.curation.answers import Answer
from processors.curation.policy import TRUSTED, CurationPolicy
from processors.curation.redact import Redactor
from processors.curation.review import Waiting
from producers.encode import message
from producers.port import Outgoing, Producer
from schemas.digests import compact_json
from schemas.envelope import Limits, decode
from schemas.errors import Code, Unrecoverable
from schemas.events import FEEDBACK
from schemas.records import Record

SOURCE = "urn:lorikeet:review"
"""The CloudEvents source of decisions."""
_BATCH = 100


class Verdict(StrEnum):
    """What a person may decide."""

    ACCEPT = "accept"
    REJECT = "reject"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on a run; an edit brings the `answer` that replaces the run's."""

    run: Waiting
    verdict: Verdict
    answer: Answer | None = None


class DecisionEvents:
    """Decisions of one reviewer as events. Ids are unique: a person may decide again, and the last counts."""

    def __init__(self, prefix: str, reviewer: str, limits: Limits) -> None:
        """`prefix` goes before topics; `limits` are ingest's."""
        self._topic = f"{prefix}{FEEDBACK}"
        self._reviewer = reviewer
        self._limits = limits

    def __call__(self, decision: Decision, now: datetime) -> list[Outgoing]:
        """One event; before an edit of what a person had refused, that it is refused no more.

        Raises InvalidEvent for what ingest would make a dead letter, such as an answer too large.
        """
        said: list[Mapping[str, Any]] = []
        if decision.verdict is not Verdict.EDIT:
            said.append({"kind": "decision", "value": str(decision.verdict)})
        elif decision.answer is not None:
            if decision.run.rejected:
                said.append({"kind": "decision", "value": str(Verdict.ACCEPT)})
            said.append({"kind": "edit", **decision.answer})
        return [self._event(decision.run, data, now) for data in said]

    def _event(self, run: Waiting, said: Mapping[str, Any], now: datetime) -> Outgoing:
        named = {"plan_id" if run.plan else "execution_id": run.run_id, "source": run.source}
        about = {"author": self._reviewer, "author_role": "reviewer", "tenant_id": run.tenant}
        event = Outgoing(
            topic=self._topic,
            key=run.run_id,
            id=str(uuid.uuid4()),
            source=SOURCE,
            type=FEEDBACK,
            time=now,
            subject=run.run_id,
            data={**said, **about, "target": named},
        )
        value, headers = message(event)
        decode(
            Record(event.topic, 0, 0, 0, event.key.encode(), value, tuple(headers)), self._limits
        )
        return event


async def publish(producer: Producer, events: Sequence[Outgoing]) -> None:
    """Publish in order; returns when all of it is acknowledged. Raises NotReady: then send the same again."""
    for start in range(0, len(events), _BATCH):
        await producer.send(events[start : start + _BATCH])


def require_trust(policy: CurationPolicy) -> None:
    """Raises Unrecoverable(BAD_SETTINGS) where no reviewer would be believed: nothing would come of it."""
    granted = policy.granted(SOURCE)
    if granted not in TRUSTED:
        detail = f"curation grants {SOURCE} {granted} trust, so decisions would not count"
        remedy = f"set curation.trust: {{{SOURCE}: internal}}"
        raise Unrecoverable(Code.BAD_SETTINGS, detail, remedy=remedy)


class PersonalData:
    """What ingest would replace by placeholders in an answer."""

    def __init__(self, policy: CurationPolicy) -> None:
        self._redactor = Redactor(policy.identifiers, policy.phone_regions)

    def kinds(self, answer: Answer) -> list[str]:
        """The kinds that it holds. Placeholders are none."""
        trace = self._redactor.trace_of(compact_json(answer))
        if trace is None:
            return []
        trace.value(answer)
        return sorted(trace.found)
