"""The two images: what is in them, who runs them, and what goes into the build."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docker.files import DOCKER
from tests.processes import ROOT

DOCKERFILE = (DOCKER / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = ("stream", "trainer")


def stages() -> dict[str, list[str]]:
    """Instructions by stage, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if match := re.fullmatch(r"FROM \S+ AS (\S+)", line):
            found[match[1]] = []
        if line:
            list(found.values())[-1].append(line)
    return found


def made_from(target: str) -> set[str]:
    """The stages whose files end up in a target."""
    found = stages()
    named = set(re.findall(r"FROM (\S+) AS|--from=(\S+)", "\n".join(found[target])))
    direct = {name for pair in named for name in pair if name in found}
    return direct.union(*(made_from(name) for name in direct))


@pytest.mark.parametrize("target", TARGETS)
def test_the_process_is_not_root(target: str) -> None:
    users = [line.split()[1] for line in stages()[target] if line.startswith("USER ")]
    assert users == ["10001:10001"], "numeric, so that it can be seen from outside that it is not 0"
    assert stages()[target][-1] == 'ENTRYPOINT ["lorikeet"]'
    assert "VOLUME /data" in stages()[target]


def test_only_the_trainer_has_the_train_extra() -> None:
    assert "trainer-packages" in made_from("trainer")
    assert "trainer-packages" not in made_from("stream")
    assert "stream-packages" in made_from("stream")
    assert [name for name, lines in stages().items() if "-r train" in "\n".join(lines)] == [
        "trainer-packages"
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_logs_come_at_once_and_nothing_is_asked_of_a_hub(target: str) -> None:
    found = stages()
    lines = "\n".join(line for name in made_from(target) for line in found[name])
    assert "PYTHONUNBUFFERED=1" in lines
    assert "HF_HUB_OFFLINE=1" in lines


def test_every_package_is_locked() -> None:
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert len(installs) == 5
    assert all("-c constraints.txt" in line or "--no-index --no-deps" in line for line in installs)


def test_no_address_is_written_down() -> None:
    for path in (DOCKER / "Dockerfile", ROOT / ".dockerignore", DOCKER / "smoke.sh"):
        text = path.read_text()
        assert "://" not in text, path
        assert not re.search("index.url|trusted.host", text, re.IGNORECASE), path


def test_the_lists_are_those_of_the_project(tmp_path: Path) -> None:
    """The line that makes them, run as it stands."""
    line = next(line for line in stages()["lists"] if line.startswith("RUN "))
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    command = line.removeprefix("RUN ").replace("python ", f"{sys.executable} ", 1)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    project = PROJECT["project"]
    assert (tmp_path / "stream").read_text().splitlines() == project["dependencies"]
    extra = project["optional-dependencies"]["train"]
    assert (tmp_path / "train").read_text().splitlines() == extra
    assert not any("torch" in name for name in project["dependencies"])


def test_the_build_sees_every_room_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    rooms = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    beside = {"pyproject.toml", "constraints.txt", "README.md", "docker/healthy.py"}
    assert lines[1] == "*"
    assert let_in == {*rooms, *beside}
    assert all((ROOT / name).exists() for name in let_in)
