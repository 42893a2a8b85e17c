"""Whose data is to be taken back, from the words of a command to the form that rows can be compared with.

    {"user": HMAC}                              {"session": HMAC}
    {"source": URN}                             {"source": URN, "event_id": id of the CloudEvent}
    {"source": URN, "execution_id": id}         {"source": URN, "plan_id": id}
    {"finding": HMAC of a value that redaction knows}

The shapes of an event's `subject` are among them (see `Pseudonyms.subject`).
"""

from __future__ import annotations

from unicodedata import category

from processors.curation.policy import CurationPolicy
from processors.curation.pseudonyms import Pseudonyms
from processors.curation.redact import Redactor
from schemas.errors import Code, Unrecoverable

FORMS = (
    "user:ID, session:ID, source:URN, event:SOURCE#ID, execution:SOURCE#ID, plan:SOURCE#ID"
    " or value:TEXT"
)
_UNSEEN = {"Cc", "Cs"}
"""Control characters, and bytes that are not UTF-8: of a slip in a shell, where nobody sees them."""
_ONE_OF_A_SOURCE = {"event": "event_id", "execution": "execution_id", "plan": "plan_id"}


def subject_of(text: str, tenant: str, policy: CurationPolicy) -> dict[str, str]:
    """The subject that `text` names, in one of `FORMS`. The last `#` divides a source from an id.

    Raises Unrecoverable(BAD_OPTION) for any other text, and for a name with control characters.
    """
    kind, _, name = text.partition(":")
    pseudonyms = Pseudonyms(policy.hmac_key)
    if not name or not _UNSEEN.isdisjoint(map(category, name)):
        raise _unknown(text)
    if kind in ("user", "session"):
        return {kind: pseudonyms.hide(tenant, kind, name) or ""}
    if kind == "source":
        return {"source": name}
    if kind in _ONE_OF_A_SOURCE:
        source, _, one = name.rpartition("#")
        if not (source and one):
            raise _unknown(text)
        return {"source": source, _ONE_OF_A_SOURCE[kind]: one}
    if kind == "value":
        return {"finding": _finding(name, tenant, policy, pseudonyms)}
    raise _unknown(text)


def _finding(text: str, tenant: str, policy: CurationPolicy, pseudonyms: Pseudonyms) -> str:
    """The HMAC by which rows remember a value that was taken out of their text."""
    trace = Redactor(policy.identifiers, policy.phone_regions).trace()
    trace.text(text)
    found = [(kind, value) for kind, values in trace.found.items() for value in values]
    if len(found) != 1:
        detail = f"redaction finds {len(found) or 'no'} values in what follows value:"
        raise Unrecoverable(Code.BAD_OPTION, detail, remedy="give one, such as value:ann@x.org")
    return pseudonyms.finding(tenant, *found[0])


def _unknown(text: str) -> Unrecoverable:
    shown = ascii(text.partition(":")[0][:20])[1:-1]
    return Unrecoverable(Code.BAD_OPTION, f"{shown}…: no subject", remedy=f"give {FORMS}")
