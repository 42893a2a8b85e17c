"""What a dataset's figures say, and that two datasets' figures compare."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from processors.curation.seal.statistics import ABSENT, OTHER, statistics
from processors.drift.psi import stability
from processors.drift.shift import shift
from schemas.digests import canonical_json
from tests.support import NOW

DEVIATION = {"train": 0.01, "validation": -0.0050000001, "test": -0.005}
PAIRS = [("train", 0.25), ("train", 0.75), ("test", 1.0)]


def line(number: int, **changes: Any) -> dict[str, Any]:
    """A candidate that was kept."""
    found = {
        "row_id": f"r{number}",
        "selection": "ACCEPT",
        "reason": "",
        "split": ("train", "train", "validation", "test")[number % 4],
        **dict.fromkeys(("score", "quality"), 70.0 + number % 30),
        **dict.fromkeys(("confidence", "diversity", "informativeness"), float(number % 100)),
        "domain": ("air", "rail", None)[number % 3],
        "level": ("easy", "hard")[number % 2],
        "source": f"urn:{number % 70}",
        "origin": "production",
        "trust": "internal",
        "kind": "run",
        "adapter_digest": "a" * 64 if number % 5 == 0 else None,
        "pii": None,
        "event_time": NOW + timedelta(minutes=number),
    }
    return {**found, **changes}


def left(number: int, reason: str, selection: str = "REJECT") -> dict[str, Any]:
    return line(number, reason=reason, selection=selection, split=None, score=None)


LINES = [
    *(line(n) for n in range(200)),
    *(left(200 + n, "near_duplicate") for n in range(7)),
    *(left(210 + n, "exact_duplicate") for n in range(5)),
    *(left(220 + n, "outlier", "REVIEW") for n in range(8)),
    *(left(230 + n, "outside_window") for n in range(50)),
    line(300, pii=json.dumps({"EMAIL": {"secret-hmac-1": 2, "secret-hmac-2": 1}})),
    line(301, pii=json.dumps({"EMAIL": {"secret-hmac-1": 4}, "PHONE": {"secret-hmac-3": 1}})),
    line(302, kind="correction", adapter_digest="a" * 64),
]


def figures(lines: list[dict[str, Any]], parent: Any = None) -> dict[str, Any]:
    return statistics(pa.Table.from_pylist(lines), PAIRS, DEVIATION, parent)


def test_the_figures_are_those_of_a_count_by_hand() -> None:
    found = figures(LINES)
    kept = [each for each in LINES if each["selection"] == "ACCEPT"]
    assert found["candidates"] == 223
    assert found["selections"] == {"ACCEPT": 203, "REJECT": 12, "REVIEW": 8}
    assert found["clean_rate"] == round(203 / 223, 6)
    assert found["splits"] == {
        part: sum(each["split"] == part for each in kept)
        for part in ("train", "validation", "test")
    }
    assert sum(cell["kept"] for cell in found["cells"]) == 203
    cell = next(c for c in found["cells"] if (c["domain"], c["level"]) == (ABSENT, "easy"))
    mine = [each for each in kept if each["domain"] is None and each["level"] == "easy"]
    assert cell["kept"] == len(mine) > 0
    assert cell["test"] == sum(each["split"] == "test" for each in mine)
    scores = np.array([each["score"] for each in kept])
    said = found["numbers"]["score"]
    assert said["known"] == sum(said["counts"]) == 203
    assert said["quantiles"]["0.5"] == np.median(scores)
    assert said["counts"][15] == int(((scores >= 75) & (scores < 80)).sum())
    assert found["dropped"] == [
        {"reason": "outlier", "selection": "REVIEW", "rows": 8},
        {"reason": "near_duplicate", "selection": "REJECT", "rows": 7},
        {"reason": "exact_duplicate", "selection": "REJECT", "rows": 5},
    ]
    assert found["duplicates"] == {"exact": 5, "near": 7, "repeated": 0}
    own = sum(each["adapter_digest"] is not None and each["kind"] == "run" for each in kept)
    assert found["own_output"] == {"share": round(own / 203, 6), "adapters": {"a" * 64: own}}
    assert found["pairs"]["splits"] == {"train": 2, "validation": 0, "test": 1}
    assert found["pairs"]["margin"]["mean"] == round(2 / 3, 6)
    assert found["times"] == ["2026-03-01T12:00:00Z", "2026-03-01T17:02:00Z"]
    assert found["deviation"] == {"test": -0.005, "train": 0.01, "validation": -0.005}
    assert found["drift"] is None


def test_personal_data_is_counted_and_its_hashes_are_not_shown() -> None:
    found = figures(LINES)
    assert found["pii"] == {
        "EMAIL": {"values": 2, "times": 7, "rows": 2},
        "PHONE": {"values": 1, "times": 1, "rows": 1},
    }
    assert b"secret-hmac" not in canonical_json(found)


def test_the_order_of_candidates_and_the_encoding_of_columns_change_nothing() -> None:
    table = pa.Table.from_pylist(LINES)
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))
    for name in ("domain", "source", "selection"):
        place = shuffled.schema.get_field_index(name)
        shuffled = shuffled.set_column(place, name, shuffled[name].dictionary_encode())
    parent = figures(LINES[:90])
    found = [
        statistics(each, pairs, DEVIATION, parent)
        for each, pairs in ((table, PAIRS), (shuffled, PAIRS[::-1]))
    ]
    assert canonical_json(found[0]) == canonical_json(found[1])
    assert json.loads(canonical_json(found[0])) == found[0]


def test_many_sources_stay_a_short_list_and_add_up() -> None:
    counts = figures(LINES)["values"]["source"]
    assert len(counts) == 51
    assert sum(counts.values()) == 203
    assert counts[OTHER] > 0


def test_an_empty_window_and_one_that_keeps_nothing_have_figures() -> None:
    schema = pa.Table.from_pylist(LINES).schema
    none = statistics(schema.empty_table(), [], {}, None)
    assert (none["candidates"], none["clean_rate"], none["cells"]) == (0, None, [])
    poor = figures([left(n, "low_quality") for n in range(3)])
    assert poor["clean_rate"] == 0
    assert poor["numbers"]["quality"]["known"] == 0
    assert canonical_json([none, poor])


def test_a_dataset_has_not_drifted_from_itself_and_has_from_another() -> None:
    before = figures(LINES)
    same = shift(before, before)
    assert {each["index"] for each in same["psi"].values()} == {0.0}
    worse = [{**each, "quality": 71.0, "domain": "sea"} for each in LINES]
    found = figures(worse, before)["drift"]
    assert found["psi"]["quality"]["index"] > 1
    assert found["psi"]["score"]["index"] == 0
    assert found["shares"]["domain"]["sea"] == {"before": 0.0, "now": 1.0}
    assert sum(share["before"] for share in found["shares"]["domain"].values()) == pytest.approx(1)


def test_numbers_in_other_bins_are_not_compared() -> None:
    before = figures(LINES)
    before["numbers"]["quality"]["edges"][1] = 4
    assert "quality" not in shift(figures(LINES), before)["psi"]
    assert shift(figures(LINES), {"numbers": {}})["shares"] == {}


def test_the_index_by_chance_is_what_chance_shows() -> None:
    """Yurdakul's mean, against samples of one population; and the index by its definition."""
    dice = np.random.default_rng(7)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    drawn = [(dice.multinomial(400, shares), dice.multinomial(300, shares)) for _ in range(600)]
    found = [stability(now.tolist(), before.tolist()) for now, before in drawn]
    means = np.mean([(f.index, f.expected) for f in found if f is not None], axis=0)
    assert means[0] == pytest.approx(means[1], rel=0.1)
    large = stability([4_000_000, 6_000_000], [5_000_000, 5_000_000])
    assert large is not None
    assert large.index == pytest.approx(-0.1 * np.log(0.8) + 0.1 * np.log(1.2), rel=1e-4)
    assert stability([0, 0], [1, 2]) is None
