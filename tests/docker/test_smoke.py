"""`docker/smoke.sh` where there is no Docker, and its steps against a `docker` that only takes notes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker.files import DOCKER

FAKE = """#!/bin/sh
echo "$*" >> "{notes}"
case "$*" in
  *"run --rm"*) cat >> "{notes}" ;;
esac
case "$*" in
  {failing}) exit 1 ;;
esac
"""
NOTHING = "nothing at all"


class Rehearsal:
    """A copy of `docker/`, and a PATH on which `docker` is what the test says."""

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "notes"
        self._commands = folder / "bin"
        self._commands.mkdir()
        for name in ("bash", "sh", "dirname", "cat", "chmod", "head", "od", "tr"):
            found = shutil.which(name)
            assert found is not None
            (self._commands / name).symlink_to(found)
        self.docker = folder / "docker"
        shutil.copytree(DOCKER, self.docker, ignore=shutil.ignore_patterns("*token", "*password"))

    def install(self, failing: str) -> None:
        """A `docker` that fails for a pattern of arguments."""
        fake = self._commands / "docker"
        fake.write_text(FAKE.format(notes=self._notes, failing=failing))
        fake.chmod(0o755)

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.docker / "smoke.sh")],
            env={**os.environ, "PATH": str(self._commands)},
            capture_output=True,
            text=True,
            check=False,
        )

    def notes(self) -> list[str]:
        """What was asked of docker, the project's name and files left out."""
        project = "compose --project-name lorikeet-smoke --profile cpu "
        project += "--file compose.yaml --file smoke/compose.yaml "
        return [line.removeprefix(project) for line in self._notes.read_text().splitlines()]


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return Rehearsal(tmp_path)


def test_without_docker_it_says_so_in_one_line(rehearsal: Rehearsal) -> None:
    done = rehearsal.run()
    assert done.returncode == 2
    assert done.stdout + done.stderr == "compose-smoke needs Docker: the command is not installed\n"


@pytest.mark.parametrize("failing", ["info", '"compose version"'])
def test_with_half_a_docker_too(rehearsal: Rehearsal, failing: str) -> None:
    rehearsal.install(failing)
    done = rehearsal.run()
    assert done.returncode == 2
    assert len((done.stdout + done.stderr).splitlines()) == 1


def test_it_builds_starts_works_checks_and_takes_everything_away(rehearsal: Rehearsal) -> None:
    rehearsal.install(f'"{NOTHING}"')
    done = rehearsal.run()
    assert done.returncode == 0, done.stderr
    asked = rehearsal.notes()[2:]
    assert asked == [
        "build",
        "up --detach --wait --wait-timeout 600",
        "run --rm --no-deps -T agents",
        '{"sessions": 300, "desk": 2, "corrections": 1.0}',
        "exec -T api python /smoke/check.py records 600",
        "exec -T api python /smoke/check.py training",
        "exec -T api python /smoke/check.py targets ingest control api worker gateway",
        "down --volumes --remove-orphans",
    ]


@pytest.mark.parametrize("step", ["build", "up", "run", "records", "training", "targets"])
def test_whatever_fails_is_shown_and_taken_away(rehearsal: Rehearsal, step: str) -> None:
    rehearsal.install(f'*" {step}"|*" {step} "*')
    done = rehearsal.run()
    assert done.returncode != 0
    assert "the loop runs" not in done.stdout
    assert rehearsal.notes()[-3:] == [
        "ps --all",
        "logs --no-color --tail 50",
        "down --volumes --remove-orphans",
    ]


def test_secrets_are_made_once_and_closed_to_others(rehearsal: Rehearsal) -> None:
    """Readable files in a closed folder: containers see the file, other people on the host do not."""
    folder = rehearsal.docker / "secrets"
    files = [folder / name for name in ("api_token", "grafana_password")]
    made = []
    for _ in range(2):
        subprocess.run([str(folder / "make.sh")], check=True)
        made.append([path.read_text() for path in files])
    assert made[0] == made[1]
    assert len(set(made[0])) == 2
    assert all(len(secret) == 48 for secret in made[0])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in files)


def test_the_scripts_are_clean(need_tool: Callable[[str], str]) -> None:
    scripts = [str(path) for path in sorted(DOCKER.rglob("*.sh"))]
    assert len(scripts) == 2
    subprocess.run([need_tool("shellcheck"), *scripts], check=True)
