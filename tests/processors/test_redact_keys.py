"""API keys and tokens: a corpus made by recipe, and what only looks like a key."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.curation.key_corpus import A_PROVIDER, RECIPES, Key, keys
from benchmarks.curation.pii import hidden
from processors.curation.redact import Redactor

REDACTOR = Redactor()


def test_the_corpus_is_as_large_as_it_says_and_the_same_each_time() -> None:
    corpus = list(keys(seed=3))
    assert corpus == list(keys(seed=3))
    assert len(RECIPES) >= 20
    assert A_PROVIDER >= 50
    assert set(Counter(key.provider for key in corpus).values()) == {A_PROVIDER}
    assert len({key.secret for key in corpus}) == len(corpus)


@pytest.mark.parametrize("provider", RECIPES)
def test_keys_of_each_provider_are_found(provider: str) -> None:
    # Another seed than the benchmark's.
    corpus = [key for key in keys(seed=3) if key.provider == provider]
    assert sum(hidden(key, REDACTOR) for key in corpus) >= 0.98 * len(corpus)


def test_half_a_key_left_is_no_key_hidden() -> None:
    secret = "ghp_" + "a1B2" * 9
    assert hidden(Key("GitHub", secret, f"use {secret}"), REDACTOR)
    assert not hidden(Key("GitHub", secret, f"use {secret} or {secret[4:20]}"), REDACTOR)
    assert not hidden(Key("none", "correct horse battery", "correct horse battery"), REDACTOR)


@pytest.mark.parametrize(
    "text",
    [
        "d41d8cd98f00b204e9800998ecf8427e",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "aGVsbG8gd29ybGQsIHRoaXMgaXMgbm8ga2V5IGF0IGFsbA==",
        "task-management-and-something-else-again",
        "npm_config_registry, hf_hub_download, pypi-server, xai-assistant",
        "key-value-store, SG.md, secret_santa_is_on_friday",
        "api_key=YOUR_API_KEY_GOES_HERE",
        "max_tokens: 4096, token_count=1234567890123456",
        "https://x.org:8443/a:b@c",
        "class AccountKeyNotFoundException",
    ],
)
def test_what_only_looks_like_a_key_is_kept(text: str) -> None:
    assert REDACTOR.trace().text(text) == text
