"""Decisions that were written down: JSON lines, all of them sound or none is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from operations.record_decisions import Decision, Verdict
from processors.curation import answers
from processors.curation.review import Waiting


class Written(BaseModel):
    """One line. An edit brings the `answer`: words, a list of turns, or `{"steps": […]}` of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row_id: str
    decision: Verdict
    answer: Any = None


class Line(NamedTuple):
    """A line's number in its file, and what it says."""

    number: int
    said: Written


def read_lines(lines: Iterable[bytes]) -> tuple[list[Line], list[str]]:
    """The lines that say something, and what is wrong with others."""
    found: dict[str, Line] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = Written.model_validate_json(line)
        except ValidationError as error:
            faults.append(f"line {number}: {_first(error)}")
            continue
        if said.row_id in found:
            faults.append(f"line {number}: line {found[said.row_id].number} decides about that row")
        elif (said.decision is Verdict.EDIT) != (said.answer is not None):
            faults.append(f"line {number}: an edit brings an answer, and nothing else does")
        else:
            found[said.row_id] = Line(number, said)
    return list(found.values()), faults


def decisions(
    lines: Iterable[Line],
    known: Mapping[str, Waiting],
    contents: Mapping[str, Mapping[str, Any]],
) -> tuple[list[Decision], list[str]]:
    """What lines decide about known runs, whose texts are `contents`; and what is wrong with others."""
    found, faults = [], []
    for number, said in lines:
        run = known.get(said.row_id)
        try:
            if run is None:
                raise ValueError(f"the model has no run {said.row_id}")  # noqa: TRY301 - of one kind
            found.append(Decision(run, said.decision, _answer(said, contents)))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    return found, faults


def _answer(said: Written, contents: Mapping[str, Mapping[str, Any]]) -> answers.Answer | None:
    if said.decision is not Verdict.EDIT:
        return None
    if said.row_id not in contents:
        raise ValueError("the row holds no text")
    return answers.checked(said.answer, contents[said.row_id])


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return ": ".join([*map(str, found["loc"]), str(found["msg"])])
