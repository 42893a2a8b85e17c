"""Verdicts: the worst wins, no evidence is no yes, and the recommendation table in full."""

from __future__ import annotations

from itertools import pairwise, permutations, product

import pytest

from schemas.verdicts import Recommendation, StageResult, Validation, Verdict, recommend, worst

FROM_BEST = ["pass", "inconclusive", "insufficient_data", "no_baseline", "fail"]
DEPLOY, REVIEW, REJECT = Recommendation.DEPLOY, Recommendation.REVIEW, Recommendation.REJECT
ALONE = {
    (True, "pass"): DEPLOY,
    (True, "inconclusive"): REVIEW,
    (True, "insufficient_data"): REVIEW,
    (True, "no_baseline"): REVIEW,
    (True, "fail"): REJECT,
    (False, "pass"): DEPLOY,
    (False, "inconclusive"): REVIEW,
    (False, "insufficient_data"): REVIEW,
    (False, "no_baseline"): REVIEW,
    (False, "fail"): REVIEW,
}


def stage(critical: object, verdict: str) -> StageResult:
    return StageResult(stage="s", critical=bool(critical), verdict=Verdict(verdict))


def test_the_worst_wins_in_any_order() -> None:
    for better, worse in pairwise(FROM_BEST):
        for pair in permutations([Verdict(better), Verdict(worse), Verdict.PASS]):
            assert worst(pair) == worse
    assert worst(Verdict(name) for name in FROM_BEST) is Verdict.FAIL


def test_of_nothing_there_is_not_enough() -> None:
    assert worst([]) is Verdict.INSUFFICIENT_DATA
    assert recommend([]) is REVIEW


@pytest.mark.parametrize(("critical", "verdict"), ALONE, ids=str)
def test_one_stage_alone(critical: object, verdict: str) -> None:
    assert recommend([stage(critical, verdict)]) is ALONE[bool(critical), verdict]


def test_two_and_three_stages_are_as_good_as_their_worst() -> None:
    severity = [DEPLOY, REVIEW, REJECT]
    for count in (2, 3):
        for chosen in product(ALONE, repeat=count):
            expected = max((ALONE[each] for each in chosen), key=severity.index)
            assert recommend(stage(*each) for each in chosen) is expected


def test_only_passes_deploy() -> None:
    assert [key for key, found in ALONE.items() if found is DEPLOY] == [
        (True, "pass"),
        (False, "pass"),
    ]
    assert recommend([stage(1, "pass")] * 9) is DEPLOY
    assert recommend([*[stage(1, "pass")] * 9, stage(0, "fail")]) is REVIEW


def test_a_validation_has_the_worst_verdict_of_its_stages() -> None:
    stages = (stage(1, "pass"), stage(0, "no_baseline"))
    assert Validation(stages=stages, recommendation=REVIEW).verdict is Verdict.NO_BASELINE
    assert Validation(stages=(), recommendation=REVIEW).verdict is Verdict.INSUFFICIENT_DATA
