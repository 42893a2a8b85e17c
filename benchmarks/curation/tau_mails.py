"""The e-mail addresses of τ-bench's airline customers, who are known, in the traces that repeat them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from processors.curation.redact import Redactor
from schemas.digests import compact_json

_FOLDER = Path("tau-bench-airline-gpt4o")


def measure(data: Path, redactor: Redactor) -> tuple[int, int]:
    """How many occurrences of the known addresses redaction removed, and how many there were."""
    mails = _mails(data)
    there = left = 0
    for run in json.loads(
        gzip.decompress((data / _FOLDER / "gpt-4o-airline.json.gz").read_bytes())
    ):
        text = compact_json(run["traj"])
        trace = redactor.trace_of(text)
        redacted = text if trace is None else compact_json(trace.value(run["traj"]))
        there += sum(text.count(mail) for mail in mails)
        left += sum(redacted.count(mail) for mail in mails)
    return there - left, there


def _mails(data: Path) -> list[bytes]:
    file = data / _FOLDER / "airline_users_pii_gold.json.gz"
    users = json.loads(gzip.decompress(file.read_bytes()))
    return [user["email"].encode() for user in users.values()]
