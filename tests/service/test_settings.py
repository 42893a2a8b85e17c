"""Settings: one tree from file and environment, refused early and by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from schemas.errors import Code, Unrecoverable
from service.settings import load, masked


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lorikeet.yaml"
    path.write_text(text)
    return path


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(Unrecoverable) as caught:
        load(config(tmp_path, text))
    assert caught.value.code is Code.BAD_SETTINGS
    return caught.value.detail


def test_the_command_line_wins_over_variables_and_they_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(tmp_path, "kafka: {bootstrap: 'file:1', prefix: f., partitions: 5}\ndata: /a\n")
    assert load(path).kafka.bootstrap == "file:1"
    monkeypatch.setenv("LORIKEET_KAFKA__BOOTSTRAP", "env:1")
    found = load(path)
    assert (found.kafka.bootstrap, found.kafka.prefix, found.kafka.partitions) == ("env:1", "f.", 5)
    found = load(path, data=Path("/b"), bootstrap="option:1")
    assert (found.kafka.bootstrap, found.data) == ("option:1", Path("/b"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("kafka: {partitions: 0}", "kafka.partitions"),
        ("kafak: {}", "kafak"),
        ("models: [{name: m, rollout: {alpha: 0.7}}]", "models.0.rollout.alpha"),
        ("models: [{name: m}, {name: m}]", "models"),
        ("curation: {default_trust: some}", "curation.default_trust"),
        ("api: {host: 0.0.0.0}", "api"),
        ("- a list", "not a mapping"),
        ("1: 2", "not a mapping of names"),
        ("data: 2020-99-99", "month must be in 1..12"),
        ("models: [{name: m, rollout: {steps: []}}]", "steps"),
        ("models: [{name: m, rollout: {steps: [0.6]}}]", "no room for a baseline"),
        ("models: [{name: m, rollout: {steps: [0.2, 0.1]}}]", "steps"),
        ("models: [{name: m, rollout: {promote_min: 50}}]", "verdict_min is above promote_min"),
        ("models: [{name: m, gateways: [here]}]", "models.0.gateways.0"),
        (
            "models: [{name: m, recipe: {test_share: 0.9, validation_share: 0.9}}]",
            "nothing is left",
        ),
        ("curation: {review_quality: 80}", "review_quality is above min_quality"),
    ],
)
def test_a_bad_setting_is_refused_with_its_path(tmp_path: Path, text: str, path: str) -> None:
    assert path in refused(tmp_path, text)


def test_a_variable_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORIKEET_KAFKA", "{")
    assert "kafka" in refused(tmp_path, "data: /a")


def test_broken_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert "line 3" in refused(tmp_path, "kafka:\n  {oops\n")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(Unrecoverable) as caught:
        load(Path("/nowhere/lorikeet.yaml"))
    assert caught.value.code is Code.NO_SUCH_FILE


def test_a_secret_comes_from_a_file_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "token"
    secret.write_text("canary-4711\n")
    monkeypatch.setenv("LORIKEET_API__TOKEN_FILE", str(secret))
    monkeypatch.delenv("LORIKEET_API__TOKEN", raising=False)
    settings = load(config(tmp_path, "api: {host: 0.0.0.0}"))
    assert "LORIKEET_API__TOKEN" not in os.environ, "children read the file themselves"
    assert settings.api.token is not None
    assert settings.api.token.get_secret_value() == "canary-4711"
    assert "canary" not in str(masked(settings))
    assert "canary" not in repr(settings)


def test_settings_cannot_be_changed_afterwards(tmp_path: Path) -> None:
    settings = load(config(tmp_path, ""))
    with pytest.raises(ValueError, match="frozen"):
        settings.kafka.prefix = "x"
