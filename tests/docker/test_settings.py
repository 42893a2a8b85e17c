"""Every setting that the images and the stack name exists, and arrives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from service.settings import Settings, load
from tests.docker.files import DOCKER, scrape_targets, services

FILES = ("compose.yaml", "smoke/compose.yaml")
SETTINGS = ("lorikeet.yaml", "smoke/lorikeet.yaml")


def variables(found: dict[str, Any]) -> dict[str, str]:
    environment = found.get("environment", {})
    return {n: str(value) for n, value in environment.items() if n.startswith("LORIKEET_")}


def named_in_dockerfile() -> dict[str, str]:
    return dict(re.findall(r"(LORIKEET_\w+)=(\S+)", (DOCKER / "Dockerfile").read_text()))


def cases() -> list[Any]:
    found = [pytest.param(named_in_dockerfile(), id="Dockerfile")]
    for file in FILES:
        found += [
            pytest.param(variables(service), id=f"{file} {name}")
            for name, service in services(file).items()
            if variables(service)
        ]
    return found


def field(settings: Settings, variable: str) -> Any:
    """The value that a variable sets. Raises AttributeError where no such field exists."""
    value: Any = settings
    path = variable.removeprefix("LORIKEET_").removesuffix("_FILE")
    for name in path.lower().split("__"):
        assert isinstance(value, BaseModel)
        value = getattr(value, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize("environment", cases())
def test_every_variable_sets_a_field(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("made up\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, str(secret) if name.endswith("_FILE") else value)
    settings = load(DOCKER / "lorikeet.yaml")
    for name, value in environment.items():
        wanted = "made up" if name.endswith("_FILE") else value
        assert str(field(settings, name)) == wanted, name


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_files_can_be_used(name: str) -> None:
    """Unknown keys are refused, at every depth, by `load` itself."""
    load(DOCKER / name)


def test_the_smoke_model_is_the_one_that_is_served() -> None:
    model = load(DOCKER / "smoke" / "lorikeet.yaml").models[0]
    found = services("smoke/compose.yaml")
    served = dict(option[2:].split("=", 1) for option in found["gateway"]["command"])
    asked = dict(option[2:].split("=", 1) for option in found["agents"]["command"])
    assert (served["model"], served["base"]) == (model.name, model.base)
    assert (asked["model"], asked["gateway"]) == (model.name, model.gateways[0])
    assert found["base"]["entrypoint"][-1] == model.base
    assert model.gateways == (f"http://{scrape_targets()['gateway']}",)


def test_health_checks_and_targets_ask_where_the_processes_listen() -> None:
    settings = load(DOCKER / "lorikeet.yaml")
    ports = {
        "ingest": settings.metrics.ingest,
        "control": settings.metrics.control,
        "worker": settings.metrics.worker,
        "api": settings.api.port,
    }
    targets = scrape_targets()
    for name, port in ports.items():
        assert targets[name] == f"{name}:{port}"
        checked = json.dumps(services()[name]["healthcheck"]["test"])
        assert f"http://127.0.0.1:{port}/" in checked
