"""Golden cases that people write: one JSON object a line, read as ingest reads a run.

A case becomes an `execution.completed` whose last turn is the expected answer and passes through the same
`Curator`: personal data is taken out, and prompt digest, task, session and user are those that a run with the
same prompt has. So the seal knows such a run again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from processors.curation.answers import checked
from processors.curation.curate import Curator
from processors.curation.seal.conversation import Turn, asked
from processors.curation.seal.examples import golden_case
from processors.evaluation.graders import GRADERS, grader
from schemas.chat import Items, Message
from schemas.datasets import GoldenCase
from schemas.digests import compact_json, digest_of
from schemas.events import EXECUTION
from schemas.records import Record
from schemas.rows import Row

_REGEX = "regex"


class WrittenCase(BaseModel):
    """One line: `prompt` or `messages` is what to ask, `expected` the right answer (words, or a turn).

    Without a `grader` it is `tool_call` where the answer calls a tool, else `exact`; `regex` needs a `pattern`.
    `task`, `session_id` and `user_id` are those of events: runs that share one are kept out of training too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str | None = None
    messages: Items[Message] | None = None
    expected: str | dict[str, Any]
    tools: list[dict[str, Any]] = []
    grader: str | None = None
    pattern: str | None = None
    task: str | None = None
    session_id: str | None = None
    user_id: str | None = None


def read_cases(
    lines: Iterable[bytes], curator: Curator, tenant: str, known: Iterable[GoldenCase] = ()
) -> tuple[list[GoldenCase], list[str]]:
    """The cases of a file's lines, and what is wrong with others, such as `line 3: …`.

    What a `known` case or an earlier line asks is not asked again.
    """
    seen = {question(case): f"case {case.case_id} of the newest set" for case in known}
    found: list[GoldenCase] = []
    faults = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            case = read_case(line, curator, tenant)
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        before = seen.setdefault(question(case), f"line {number}")
        if before == f"line {number}":
            found.append(case)
        else:
            faults.append(f"line {number}: {before} asks the same")
    return found, faults


def read_case(line: bytes, curator: Curator, tenant: str) -> GoldenCase:
    """One case. Raises ValueError, in one line, for what cannot be one."""
    try:
        written = WrittenCase.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    turns = _asked(written)
    _check_pattern(written.pattern or "", curator)
    answer = checked(_expected(written.expected), {"tools": written.tools})["messages"]
    if len(answer) != 1:
        raise ValueError("expected: one turn of the assistant")
    row = _curated([*turns, *answer], written, curator, tenant)
    facts = {**row._asdict(), "row_id": row.row_id, "source": None}
    case = graded(golden_case(facts, row.content or "", None), written.grader, written.pattern)
    asks = case.model_dump(
        mode="json", include={"messages", "tools", "expected", "grader", "pattern"}
    )
    return case.model_copy(update={"case_id": f"case:{digest_of(asks)[:16]}"})


def _check_pattern(pattern: str, curator: Curator) -> None:
    """A pattern is kept as it is written: with placeholders in it, it would not be the same."""
    if not all(map(curator.leaves, (pattern, pattern.replace("\\", "")))):
        raise ValueError(
            "the pattern holds personal data or a key: match placeholders, such as <EMAIL_1>"
        )


def question(case: GoldenCase) -> str:
    """What a case asks, as a digest: two cases with the same one would count one answer twice."""
    return digest_of([case.messages, case.tools])


def _asked(written: WrittenCase) -> list[Turn]:
    if (written.prompt is None) == (written.messages is None):
        raise ValueError("either prompt or messages")
    if written.messages is None:
        turns: list[Turn] = [{"role": "user", "content": written.prompt or ""}]
    else:
        turns = [message.canonical() for message in written.messages]
    if turns and turns[-1]["role"] == "assistant":
        raise ValueError("messages end with an answer: that is `expected`")
    if not asked(turns):
        raise ValueError("nothing is asked: the prompt is empty")
    return turns


def _expected(value: str | dict[str, Any]) -> Any:
    return value if isinstance(value, str) else {"role": "assistant", **value}


def _curated(turns: Sequence[Turn], written: WrittenCase, curator: Curator, tenant: str) -> Row:
    data = {
        "execution_id": "golden",
        "agent_id": "golden",
        "task": {"prompt": "", "id": written.task},
        "messages": list(turns),
        "tools": written.tools,
        "outcome": {"status": "success"},
        "session_id": written.session_id,
        "user_id": written.user_id,
        "tenant_id": tenant,
    }
    envelope = {"specversion": "1.0", "id": "golden", "source": "golden", "type": EXECUTION}
    value = compact_json({**envelope, "data": data})
    row = curator.row(Record(EXECUTION, 0, 0, 0, None, value))
    if row.content is None:
        raise ValueError(f"ingest would not keep its text: {', '.join(row.reasons)}")
    return row


def graded(case: GoldenCase, name: str | None, pattern: str | None) -> GoldenCase:
    """The case with a grader of that name, which has to find the expected answer right.

    Without a name it is `regex` where there is a pattern, else what the case has. Raises ValueError.
    """
    name = name or (_REGEX if pattern is not None else case.grader)
    if name not in GRADERS:
        raise ValueError(f"no grader is called {name!r}; there are {', '.join(GRADERS)}")
    if (name == _REGEX) != bool(pattern):
        raise ValueError("a pattern goes with the grader regex, and that one needs it")
    try:
        grade = grader(name, pattern)
    except re.error as error:
        raise ValueError(f"the pattern is no regular expression: {error}") from None
    if not grade(case.expected, case.expected):
        raise ValueError(f"the expected answer does not pass its own grader, {name}")
    return case.model_copy(update={"grader": name, "pattern": pattern})


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return ": ".join([*map(str, found["loc"]), str(found["msg"])])
