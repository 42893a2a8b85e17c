"""How much text redaction goes through in a second of one core, as ingest calls it: by content and its JSON."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import events
from benchmarks.curation import clean_traces
from processors.curation.extract import execution_content
from processors.curation.redact import Redactor
from processors.curation.residue import SecondPass
from schemas.digests import compact_json
from schemas.envelope import Limits
from schemas.exact_json import content_json
from schemas.fastpath import read_fast
from tests.support import record

Content: TypeAlias = tuple[Any, bytes]
_EVENTS = 5_000
_EPISODE = 8
"""Texts of an episode: MINT's have about eight messages."""
_TEXTS = 20_000
_RUNS = 5


def clean(data: Path) -> float:
    """MB/s of MINT's texts in episodes of eight, those with a finding left out."""
    texts = list(islice(clean_traces.mint(data), _TEXTS))
    episodes = [texts[at : at + _EPISODE] for at in range(0, len(texts), _EPISODE)]
    contents = [(episode, compact_json(episode)) for episode in episodes]
    redactor = Redactor()
    return _rate([(value, text) for value, text in contents if not _holds(redactor, value, text)])


def hit() -> float:
    """MB/s of generated events, one in five of which holds personal data."""
    return _rate([_content(number) for number in range(_EVENTS)])


def _content(number: int) -> Content:
    event = read_fast(record(events.event(number)), Limits())
    if event is None:
        raise SystemExit("the generated events do not take the fast path any more")
    content = execution_content(event.data)
    return content, content_json(content)


def _holds(redactor: Redactor, value: Any, text: bytes) -> bool:
    trace = redactor.trace_of(text)
    if trace is None:
        return False
    trace.value(value)
    return bool(trace.found)


def _rate(contents: Sequence[Content]) -> float:
    redactor, second = Redactor(), SecondPass()
    size = sum(len(text) for _, text in contents)
    return statistics.median(
        size / 1e6 / _seconds(contents, redactor, second) for _ in range(_RUNS)
    )


def _seconds(contents: Sequence[Content], redactor: Redactor, second: SecondPass) -> float:
    started = time.process_time()
    for value, text in contents:
        trace = redactor.trace_of(text)
        if trace is not None:
            trace.value(value)
            second.left(text)
    return time.process_time() - started
