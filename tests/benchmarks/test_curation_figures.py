"""The statistics that the curation benchmark is judged by, against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from benchmarks.curation.figures import Places, auc, interval, spearman
from benchmarks.curation.quality import curve


@pytest.mark.parametrize("seed", range(5))
def test_ranks_and_areas_agree_with_the_libraries(seed: int) -> None:
    dice = np.random.default_rng(seed)
    score = dice.integers(0, 9, 200).astype(float)
    truth = dice.random(200) < 0.3
    assert auc(score, truth) == pytest.approx(roc_auc_score(truth, score))
    other = score + dice.integers(0, 5, 200).astype(float)
    assert spearman(score, other) == pytest.approx(spearmanr(score, other).statistic)


def test_an_area_needs_both_outcomes() -> None:
    assert np.isnan(auc(np.arange(3.0), np.zeros(3, bool)))
    assert np.isnan(auc(np.arange(3.0), np.ones(3, bool)))


def test_an_interval_is_wider_where_few_tasks_have_many_runs() -> None:
    values = np.repeat(np.random.default_rng(0).random(20), 10)
    tasks = [str(place // 10) for place in range(200)]

    def mean(places: Places) -> float:
        return float(values[places].mean())

    by_task = interval(mean, tasks)
    by_run = interval(mean, [str(place) for place in range(200)])
    assert by_task[0] < values.mean() < by_task[1]
    assert by_task[1] - by_task[0] > 2 * (by_run[1] - by_run[0])
    assert interval(mean, tasks) == by_task


def test_a_curve_has_every_run_once() -> None:
    score, truth = np.linspace(0, 100, 60), np.repeat([0.0, 1.0], 30)
    points = curve(score, truth)
    assert sum(runs for _, _, runs in points) == 60
    assert [share for _, share, _ in points] == [0, 0, 0, 1, 1, 1]
    assert [mean for mean, _, _ in points] == sorted(mean for mean, _, _ in points)
