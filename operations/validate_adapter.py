"""Probe a fresh adapter in a fresh process and grade it on the golden set beside the stable one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.run_attempt import RunAttempt, attempt, write_job
from processors.evaluation.graders import grader
from processors.evaluation.stages import ValidationSettings, validate
from schemas.chat import parse_answer
from schemas.datasets import GoldenCase
from schemas.errors import Code, Unrecoverable
from schemas.jobs import JobSpec
from schemas.verdicts import Validation

CANDIDATE, STABLE = "candidate", "stable"


@dataclass(frozen=True, slots=True)
class Validated:
    """The probe's record, the validation, and every graded answer."""

    probe: dict[str, Any]
    validation: Validation
    answers: list[dict[str, Any]]


class ValidateAdapter:
    """Runs probe and generation at the same time, in processes that never saw the training."""

    def __init__(self, run: RunAttempt) -> None:
        self._run = run

    def __call__(
        self,
        folder: Path,
        epoch: int,
        spec: JobSpec,
        *,
        adapter: Path,
        stable: Path | None,
        golden: Sequence[GoldenCase],
        settings: ValidationSettings,
        heartbeat: Callable[[], bool],
    ) -> Validated:
        """Validate. Raises Unrecoverable(PROBE_FAILED) for an adapter that is not what it was."""
        probing, answering = folder / "probe", folder / "validate"
        candidate = {CANDIDATE: str(adapter)}
        write_job(probing, _spec(spec, "probe", candidate))
        shutil.copy(adapter.parent / "expected.json", probing / "dataset" / "expected.json")
        both = {**candidate, STABLE: str(stable) if stable else ""}
        write_job(answering, _spec(spec, "generate", both))
        _write_cases(answering / "dataset" / "cases.jsonl", golden)
        probe, _ = self._run.together([probing, answering], epoch, heartbeat)
        if not probe.summary["ok"]:
            raise Unrecoverable(Code.PROBE_FAILED, json.dumps(probe.summary))
        graded = _grade(attempt(answering, epoch) / "outputs.jsonl", golden)
        validation = validate(
            [answer["right"] for answer in graded if answer["arm"] == CANDIDATE],
            [answer["right"] for answer in graded if answer["arm"] == STABLE],
            settings,
        )
        return Validated(dict(probe.summary), validation, graded)


def _spec(spec: JobSpec, kind: str, adapters: Mapping[str, str]) -> JobSpec:
    changed = {"kind": kind, "adapters": dict(adapters), "job_id": f"{spec.job_id}-{kind}"}
    return spec.model_copy(update=changed)


def _write_cases(path: Path, golden: Sequence[GoldenCase]) -> None:
    with path.open("w") as handle:
        for case in golden:
            asked = {"case_id": case.case_id, "messages": case.messages, "tools": case.tools}
            handle.write(json.dumps(asked, ensure_ascii=False) + "\n")


def _grade(outputs: Path, golden: Sequence[GoldenCase]) -> list[dict[str, Any]]:
    cases = {case.case_id: case for case in golden}
    graded = []
    for line in outputs.read_text().splitlines():
        answer = json.loads(line)
        case = cases[answer["case_id"]]
        right = grader(case.grader, case.pattern)(case.expected, parse_answer(answer["text"]))
        graded.append({**answer, "right": right})
    return graded
