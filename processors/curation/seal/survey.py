"""What the seal has to know of a run: its row without the text, and what the text says of itself.

A pure function of one Arrow batch, so that a ledger of any size is surveyed piece by piece, in any pieces,
by any number of processes. See docs/adr/0015.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from processors.curation.domains.model import DomainModel
from processors.curation.domains.text import domain_text
from processors.curation.seal.conversation import Turn, asked, conversation
from processors.curation.seal.feedback import FeedbackIndex
from schemas.chat import answer_text
from schemas.digests import compact_json

COLUMNS = (
    *("cluster", "topic", "incarnation", "partition", "offset", "tenant", "source", "id", "type"),
    *(
        "timestamp",
        "event_time",
        "disposition",
        "agent",
        "adapter_digest",
        "arm",
        "session",
        "user",
        "run_id",
    ),
    *(
        "plan_id",
        "task",
        "task_type",
        "domain",
        "origin",
        "trust",
        "difficulty",
        "success",
        "valid",
    ),
    *("steps", "tool_errors", "replans", "tokens", "quality", "quality_parts", "confidence"),
    *("tools_digest", "prompt_digest", "pii", "content"),
)
"""What a survey reads of a row."""
_SAID = {
    "state": pa.string(),
    "answer": pa.binary(16),
    "asked_chars": pa.int32(),
    "answer_chars": pa.int32(),
    "information": pa.int32(),
    "turns": pa.int32(),
    "answers": pa.int32(),
    "calls": pa.int32(),
    "tools": pa.int32(),
    "defined": pa.dictionary(pa.int32(), pa.string()),
    "called": pa.dictionary(pa.int32(), pa.string()),
    "label": pa.string(),
    "label_role": pa.string(),
    "reward": pa.float64(),
    "decision": pa.string(),
}
"""`state` is empty, or why there is nothing to learn; `answer` a digest of the whole example; `information` the
bytes to which deflate brings what was asked and answered; `defined` and
`called` the names of its tools, a line each; `label` the row whose edit became the answer, and its author's
role; `reward` the mean of what people and judges gave, −1…1.
"""
SAID = pa.schema(list(_SAID.items()))


class Survey(NamedTuple):
    """`facts` has one row for each of the batch; `prompts` what was asked, folded; empty without text."""

    facts: pa.RecordBatch
    prompts: list[str]


class _Text(NamedTuple):
    state: str
    answer: bytes | None = None
    asked_chars: int = 0
    answer_chars: int = 0
    information: int = 0
    turns: int = 0
    answers: int = 0
    calls: int = 0
    tools: int = 0
    defined: str = ""
    called: str = ""


def survey(
    batch: pa.RecordBatch, feedback: FeedbackIndex, model: DomainModel | None = None
) -> Survey:
    """The facts of a batch of runs: rows of the ledger of types execution and plan, with COLUMNS.

    All columns but `content` are handed on; SAID's come after them. Where no domain is declared it is
    the `model`'s, which may be `unknown`.
    """
    prompts: list[str] = []
    said: list[tuple[Any, ...]] = []
    domains: list[str | None] = []
    for text, declared, *run in _columns(batch, "content", "domain", "tenant", "run_id", "source"):
        opinion = feedback.about(*run)
        edit = opinion.edit
        content = json.loads(text) if text else None
        corrected = json.loads(edit.content) if edit and edit.content else None
        turns = conversation(content, corrected) if content is not None else None
        prompts.append(asked(turns) if turns else "")
        label = (edit.row_id, edit.author_role) if edit else (None, None)
        found = _text(content, turns, prompts[-1])
        said.append((*found, *label, opinion.reward, opinion.decision))
        domains.append(declared or (domain_text(content) if content and model else None))
    if model is not None:
        batch = _named(batch, domains, model)
    return Survey(_beside(batch, said), prompts)


def _named(
    batch: pa.RecordBatch, domains: Sequence[str | None], model: DomainModel
) -> pa.RecordBatch:
    """With the model's word where no domain is declared: there `domains` has the text, or nothing."""
    declared = batch["domain"].to_pylist()
    open_ = [place for place, name in enumerate(declared) if not name and domains[place]]
    found = model.names(model.predict(str(domains[place]) for place in open_))
    for place, name in zip(open_, found, strict=True):
        declared[place] = name
    place = batch.schema.get_field_index("domain")
    return batch.set_column(place, "domain", pa.array(declared, pa.string()))


def _columns(batch: pa.RecordBatch, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch[name].to_pylist() for name in names), strict=True)


def _beside(batch: pa.RecordBatch, said: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*said, strict=True) if said else ((),) * len(SAID)
    arrays = [pa.array(c, field.type) for c, field in zip(columns, SAID, strict=True)]
    kept = [name for name in batch.schema.names if name != "content"]
    schema = pa.schema([*map(batch.schema.field, kept), *SAID])
    return pa.RecordBatch.from_arrays([*map(batch.column, kept), *arrays], schema=schema)


def _text(content: Mapping[str, Any] | None, turns: list[Turn] | None, prompt: str) -> _Text:
    if content is None:
        return _Text("no_text")
    tools = content.get("tools") or []
    if turns is None:
        return _Text("no_answer", defined=names(map(_name, tools)))
    answers = [turn for turn in turns if turn["role"] == "assistant"]
    answered = "\n".join(map(answer_text, answers))
    called = [call["name"] for turn in answers for call in turn.get("tool_calls") or ()]
    return _Text(
        "",
        hashlib.blake2b(compact_json([turns, tools]), digest_size=16).digest(),
        len(prompt),
        len(answered),
        len(zlib.compress(f"{prompt}\n{answered}".encode(), 1)),
        len(turns),
        len(answers),
        len(called),
        len(tools),
        names(map(_name, tools)),
        names(called),
    )


def names(found: Iterable[str]) -> str:
    """Distinct names in order, a line each."""
    return "\n".join(sorted({name.replace("\n", " ") for name in found}))


def _name(tool: Mapping[str, Any]) -> str:
    inner = tool.get("function")
    return str((inner if isinstance(inner, dict) else tool).get("name"))
