"""accepted, review or rejected: what one event alone can decide, with every reason."""

from __future__ import annotations

from processors.curation.policy import TRUST_ORDER, TRUSTED, CurationPolicy
from schemas import structs
from schemas.executions import ExecutionData, PlanData, RunData
from schemas.feedback import FeedbackData, Subject
from schemas.rows import Disposition

_ORDER = (Disposition.ACCEPTED, Disposition.REVIEW, Disposition.REJECTED)


class Decision:
    """Collects reasons; the worst one decides."""

    def __init__(self) -> None:
        self.disposition = Disposition.ACCEPTED
        self.reasons: list[str] = []

    def add(self, disposition: Disposition, reason: str) -> None:
        """Note a reason."""
        self.reasons.append(reason)
        self.disposition = max(self.disposition, disposition, key=_ORDER.index)


def effective_trust(claim: str | None, source: str, policy: CurationPolicy) -> str:
    """min(claim, what the configuration grants to the source); no claim takes the grant."""
    granted = policy.granted(source)
    return min(claim or granted, granted, key=TRUST_ORDER.index)


def dispose_run(
    data: RunData | structs.ExecutionData,
    *,
    trust: str,
    quality: float | None,
    policy: CurationPolicy,
) -> Decision:
    """An execution or a plan."""
    decision = Decision()
    if data.model.arm == "shadow":
        decision.add(Disposition.REJECTED, "shadow")
    if not data.model.name:
        decision.add(Disposition.REVIEW, "no_model")
    if trust == "unknown":
        decision.add(Disposition.REVIEW, "unknown_trust")
    unknown = isinstance(data, PlanData) and data.valid is None and data.score is None
    if unknown and trust != "verified":  # a library of right plans has no verdicts
        decision.add(Disposition.REVIEW, "no_verdict")
    if isinstance(data, (ExecutionData, structs.ExecutionData)) and _says_nothing(data):
        decision.add(Disposition.REVIEW, "no_text")
    if quality is not None and quality < policy.min_quality:
        low = quality < policy.review_quality
        decision.add(Disposition.REJECTED if low else Disposition.REVIEW, "low_quality")
    if data.confidence is not None and data.confidence < policy.min_confidence:
        decision.add(Disposition.REVIEW, "low_confidence")
    elif data.confidence is None:
        decision.reasons.append("confidence_absent")
    return decision


def _says_nothing(data: ExecutionData | structs.ExecutionData) -> bool:
    return not data.messages and data.outcome.answer is None


def dispose_feedback(data: FeedbackData, *, source: str, trust: str) -> Decision:
    """Feedback counts if its source is known; a comment alone teaches nothing but is kept.

    What a source may not ask to be erased is left to a person, who can ask for it by a command.
    """
    decision = Decision()
    if trust == "unknown":
        decision.add(Disposition.REVIEW, "unknown_trust")
    elif data.subject and trust not in TRUSTED and not _its_own(data, data.subject, source):
        decision.add(Disposition.REVIEW, "not_its_own")
    if data.kind == "comment":
        decision.reasons.append("comment_only")
    return decision


def _its_own(data: FeedbackData, subject: Subject, source: str) -> bool:
    """Whether an erasure reaches no further than who asks: a run of the source, a session, a user's own data.

    An erasure cannot be undone, and takes the adapters with it that were trained on what is erased.
    """
    if subject.source is not None:
        one_run = subject.execution_id is not None or subject.plan_id is not None
        return one_run and subject.source == source
    own = data.author_role == "user" and data.author == subject.user_id
    return own or subject.session_id is not None
