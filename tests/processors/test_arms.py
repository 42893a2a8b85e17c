"""Arms: the same session, the same arm, in any language; growing only ever adds."""

from __future__ import annotations

import hashlib
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency

from processors.rollout.arms import assign, bucket, mirrored

VECTORS = [
    ("", "", 0.904968710244, "baseline"),
    ("", "session-1", 0.465451137056, "stable"),
    ("rollout-1", "session-1", 0.611006432576, "stable"),
    ("rollout-1", "session-17", 0.049606755352, "candidate"),
    ("rollout-1", "session-52", 0.000099635325, "candidate"),
    ("rollout-1", "session-70", 0.099420075336, "candidate"),
    ("rollout-1", "session-35", 0.999534635379, "baseline"),
    ("rollout-1", "session-97", 0.907079558609, "baseline"),
    ("rollout-2", "session-17", 0.086191784836, "candidate"),
    ("salt", "träume/日本", 0.184945141580, "stable"),
]
WEIGHTS = {"candidate": 0.1, "baseline": 0.1, "stable": 0.8}
SESSIONS = [f"session-{number}" for number in range(20_000)]


@pytest.mark.parametrize(("salt", "session", "place", "arm"), VECTORS)
def test_vectors(salt: str, session: str, place: float, arm: str) -> None:
    assert f"{bucket(salt, session):.12f}" == f"{place:.12f}"
    assert assign(salt, session, WEIGHTS) == arm


@given(st.text(), st.text())
def test_the_bucket_is_what_the_docstring_says(salt: str, session: str) -> None:
    digest = hashlib.sha256(salt.encode() + b":" + session.encode()).hexdigest()
    assert bucket(salt, session) == float(Fraction(int(digest[:16], 16), 2**64))
    assert 0 <= bucket(salt, session) <= 1


@given(st.text(), st.text(), st.floats(0, 0.5), st.floats(0, 0.5))
def test_growing_only_adds_sessions_to_an_arm(
    salt: str, session: str, first: float, second: float
) -> None:
    small, large = sorted([first, second])
    before = assign(salt, session, {"candidate": small, "baseline": small})
    after = assign(salt, session, {"candidate": large, "baseline": large})
    assert before in ("stable", after)


def test_growing_really_adds() -> None:
    steps = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5)
    arms = [
        [assign("s", name, {"candidate": w, "baseline": w}) for name in SESSIONS[:2_000]]
        for w in steps
    ]
    sizes = [Counter(found)["candidate"] for found in arms]
    assert sizes == sorted(set(sizes))
    assert Counter(arms[0]) == {"stable": 2_000}
    assert Counter(arms[-1])["stable"] == 0


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.25, 0.5])
@pytest.mark.parametrize("salt", ["rollout-1", "rollout-2"])
def test_shares_are_true_to_the_weights(salt: str, share: float) -> None:
    counts = Counter(
        assign(salt, name, {"candidate": share, "baseline": share}) for name in SESSIONS
    )
    for arm in ("candidate", "baseline"):
        assert binomtest(counts[arm], len(SESSIONS), share).pvalue > 1e-3


def test_another_rollout_draws_anew() -> None:
    table = Counter(
        (assign("rollout-1", name, WEIGHTS), assign("rollout-2", name, WEIGHTS))
        for name in SESSIONS
    )
    arms = ("candidate", "baseline", "stable")
    counts = [[table[first, second] for second in arms] for first in arms]
    assert chi2_contingency(counts).pvalue > 1e-3


def test_who_is_mirrored_does_not_depend_on_the_arm() -> None:
    table = Counter((assign("s", name, WEIGHTS), mirrored("s", name, 0.1)) for name in SESSIONS)
    counts = [[table[arm, shown] for shown in (True, False)] for arm in WEIGHTS]
    assert chi2_contingency(counts).pvalue > 1e-3
    shown = sum(row[0] for row in counts)
    assert binomtest(shown, len(SESSIONS), 0.1).pvalue > 1e-3
    assert not any(mirrored("s", name, 0.0) for name in SESSIONS[:99])
    assert all(mirrored("s", name, 1.0) for name in SESSIONS[:99])


def test_without_weights_all_is_stable() -> None:
    assert {assign("s", name, {}) for name in SESSIONS[:99]} == {"stable"}
    assert {assign("s", name, {"candidate": 1.0}) for name in SESSIONS[:99]} == {"candidate"}
