"""The domain classifier: the same bits every time, unseen tasks right, unseen domains unknown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.curation.domains import codec
from processors.curation.domains.fit import fit
from processors.curation.domains.grams import BUCKETS, LIMIT, grams
from processors.curation.domains.model import ALPHA, UNKNOWN, DomainModel
from processors.curation.domains.text import domain_text
from schemas.digests import canonical_json, sha256_hex
from schemas.errors import Code, Unrecoverable
from tests.processors.real_runs import KEPT, sample
from tests.topics import corpus

ROOT = Path(__file__).resolve().parents[2]
mixed = st.text(max_size=60)


@pytest.fixture(scope="module")
def model() -> DomainModel:
    return fit(*corpus("trains", "cooking"), 0)


@given(st.lists(mixed, max_size=6))
def test_a_text_has_the_same_grams_alone_and_among_others(texts: list[str]) -> None:
    buckets, starts = grams(texts)
    assert len(starts) == len(texts) + 1
    for place, text in enumerate(texts):
        alone, _ = grams([text])
        assert list(buckets[starts[place] : starts[place + 1]]) == list(alone)
        assert list(alone) == sorted(set(alone))
        assert alone[0] == 0
        assert alone[-1] < BUCKETS


def test_grams_fold_case_and_numbers_and_read_so_many_characters() -> None:
    def of(text: str) -> set[int]:
        return set(map(int, grams([text])[0]))

    assert of("Book Flight 7") == of("book flight 123")
    assert of("book flight") != of("flight book")
    assert of("flights") & of("flight") != {0}
    assert of("x " * LIMIT) == of("x " * LIMIT + "other words")
    assert of("") == of("\x00 \n") == {0}
    assert of("\ud800") == of("?")


@given(st.lists(mixed, min_size=1, max_size=8), st.data())
@settings(max_examples=50)
def test_what_is_said_of_a_text_depends_on_the_text_alone(
    model: DomainModel, texts: list[str], data: Any
) -> None:
    whole = model.predict(texts)
    order = data.draw(st.permutations(range(len(texts))))
    turned = model.predict(texts[place] for place in order)
    assert list(turned.domains) == [whole.domains[place] for place in order]
    assert list(turned.confidence) == [whole.confidence[place] for place in order]
    assert ((whole.confidence >= 0) & (whole.confidence <= 1)).all()
    assert list(whole.domains == -1) == list(whole.confidence < ALPHA)


def test_batches_do_not_matter(model: DomainModel) -> None:
    texts = corpus("trains", "cooking", "law", tasks=500)[0]
    whole = model.predict(texts)
    assert len(whole.domains) > 2_048
    parts = [model.predict(texts[start : start + 999]) for start in range(0, len(texts), 999)]
    assert (np.concatenate([part.domains for part in parts]) == whole.domains).all()
    assert (np.concatenate([part.confidence for part in parts]) == whole.confidence).all()
    assert len(model.predict([]).domains) == 0


def test_known_topics_are_named_and_a_third_is_unknown(model: DomainModel) -> None:
    texts, labels, _ = corpus("trains", "cooking", seed=2)
    named = model.names(model.predict(texts))
    assert np.mean([a == b for a, b in zip(named, labels, strict=True)]) > 0.9
    strange = model.names(model.predict(corpus("law", seed=2)[0]))
    assert strange.count(UNKNOWN) / len(strange) > 0.9
    assert model.names(model.predict([""])) == [UNKNOWN]


def test_a_fit_is_its_seed_s() -> None:
    data = corpus("trains", "cooking", "law")
    first, again, other = (codec.written(fit(*data, seed))[0] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_fit_asks_for_two_domains_of_two_tasks() -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        fit(*corpus("trains"), 0)
    texts, labels, tasks = corpus("trains", "cooking")
    with pytest.raises(ValueError, match="single task"):
        fit([*texts, "a writ"], [*labels, "law"], [*tasks, "one"], 0)


UNITS = "[n for n in core.__cpu_dispatch__ if core.__cpu_features__[n]]"


def other_processor() -> dict[str, str]:
    """An environment in which numpy computes as on a machine without this one's vector units."""
    code = f"from numpy._core import _multiarray_umath as core; print(*{UNITS})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {**os.environ, "NPY_DISABLE_CPU_FEATURES": done.stdout.strip()}


def test_a_model_says_the_same_bits_on_another_processor(
    model: DomainModel, tmp_path: Path
) -> None:
    digest, files = codec.written(model)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    texts = corpus("trains", "cooking", "law", seed=5)[0]
    (tmp_path / "texts.json").write_bytes(canonical_json(texts))
    code = f"""
import json
from pathlib import Path
from numpy._core import _multiarray_umath as core
assert not {UNITS}
from processors.curation.domains import codec
folder = Path({str(tmp_path)!r})
model = codec.read({digest!r}, lambda name: (folder / name).read_bytes())
found = model.predict(json.loads((folder / "texts.json").read_text()))
print(found.domains.tobytes().hex(), found.confidence.tobytes().hex())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=other_processor(),
    )
    found = model.predict(texts)
    assert done.stdout.split() == [found.domains.tobytes().hex(), found.confidence.tobytes().hex()]


@pytest.mark.parametrize("name", ["model.json", "weights.npy", "lengths.npy"])
def test_a_model_that_is_not_what_its_digest_says_is_refused(model: DomainModel, name: str) -> None:
    digest, files = codec.written(model)
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    with pytest.raises(Unrecoverable) as raised:
        codec.read(digest, files.__getitem__)
    assert raised.value.code is Code.DIGEST_MISMATCH


def test_a_model_of_another_format_is_refused(model: DomainModel) -> None:
    header = codec.written(model)[1]["model.json"].replace(b'"format":1', b'"format":2')
    with pytest.raises(Unrecoverable) as raised:
        codec.read(sha256_hex(header), {"model.json": header}.__getitem__)
    assert raised.value.code is Code.BAD_DOMAIN_MODEL


def test_a_text_holds_what_users_said_and_what_was_called_and_no_answer() -> None:
    turns = [
        {"role": "system", "content": "policy"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "book it"},
        {"role": "assistant", "content": "done", "tool_calls": [{"name": "book", "arguments": {}}]},
        {"role": "tool", "content": "result"},
    ]
    content = {"messages": turns, "reference": "the answer", "tools": [{"name": "other"}]}
    assert domain_text(content) == "book\nbook it"
    assert domain_text({"messages": turns[:1]}) == "policy"
    plan = {"goal": "go to lyon", "steps": [{"id": "a", "tool": "search"}, {"id": "b"}]}
    assert domain_text(plan) == "search\ngo to lyon"


@pytest.mark.data
def test_real_runs_of_unseen_tasks_and_of_unseen_domains(shared_data: Path) -> None:
    train, test = sample(shared_data)
    away = "gsm8k"
    known = sorted({(r.domain, r.task, domain_text({"messages": r.turns})) for r in train})
    domains, tasks, texts = zip(*(one for one in known if one[0] != away), strict=True)
    found = fit(texts, domains, tasks, 0)
    assert found.labels == tuple(sorted(set(KEPT) - {away}))
    named = found.names(found.predict(domain_text({"messages": run.turns}) for run in test))
    right = [a == run.domain for a, run in zip(named, test, strict=True) if run.domain != away]
    strange = [a == UNKNOWN for a, run in zip(named, test, strict=True) if run.domain == away]
    assert np.mean(right) > 0.85
    assert np.mean(strange) > 0.7
    assert len(right) > 100
    assert len(strange) > 15
