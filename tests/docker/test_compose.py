"""The compose stack: what is in it, what waits for what, and what others can reach."""

from __future__ import annotations

import re

import pytest
import typer

from service.broker import _KAFKA, _MAX_MESSAGE_BYTES, _properties
from service.cli import app
from tests.docker.files import DOCKER, Tree, load_yaml, scrape_targets, services
from tests.processes import ROOT

FILES = ("compose.yaml", "smoke/compose.yaml")
NEEDED = {"kafka", "topics", "ingest", "control", "api", "worker", "prometheus", "grafana"}
OURS = ("lorikeet-stream", "lorikeet-trainer")
# The embedded broker's own addresses and folder, and Kafka's variable names for listeners.
ADDRESSES = {
    "controller.quorum.voters",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "log.dirs",
}


def ours() -> dict[str, Tree]:
    return {name: found for name, found in services().items() if found["image"] in OURS}


def test_every_process_is_there() -> None:
    assert services().keys() >= NEEDED


@pytest.mark.parametrize("name", FILES)
def test_every_service_has_a_health_check_or_ends_by_itself(name: str) -> None:
    """What has no check is waited for until it has ended well, or is only run by hand."""
    both = services() | services("smoke/compose.yaml")
    awaited = {
        other
        for service in both.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    known = services()
    for service, found in services(name).items():
        checked = "healthcheck" in found or "healthcheck" in known.get(service, {})
        by_hand = found.get("profiles") == ["agents"]
        assert checked or service in awaited or by_hand, service


def test_health_is_waited_for() -> None:
    found = services()
    ready = {"kafka": "service_healthy", "topics": "service_completed_successfully"}
    for name in ("ingest", "control"):
        waits = {other: how["condition"] for other, how in found[name]["depends_on"].items()}
        assert waits == ready
    assert "depends_on" not in found["api"], "rollback has to work while Kafka is down"


def test_nothing_is_published_beyond_loopback() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not any(found.get("ports") for found in services("smoke/compose.yaml").values())


def test_other_peoples_images_are_pinned() -> None:
    images = {found["image"] for found in services().values()} - set(OURS)
    assert len(images) == 3
    assert all(re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", image) for image in images)


def test_our_processes_can_do_no_more_than_they_need() -> None:
    for found in ours().values():
        assert found["read_only"] is True
        assert found["cap_drop"] == ["ALL"]
        assert "user" not in found, "the image's user"
        assert found["build"]["target"] == found["image"].removeprefix("lorikeet-")


def test_one_worker_a_profile_and_one_by_default() -> None:
    workers = {n: found for n, found in services().items() if found.get("command") == ["worker"]}
    profiles = {name: found["profiles"] for name, found in workers.items()}
    assert profiles == {"worker": ["cpu"], "worker-gpu": ["gpu"]}
    assert "COMPOSE_PROFILES=cpu" in (DOCKER / ".env").read_text().splitlines()
    gpu = workers["worker-gpu"]
    devices = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]
    assert gpu["networks"]["default"]["aliases"] == ["worker"], "one target for both"
    assert {found["image"] for found in workers.values()} == {"lorikeet-trainer"}


def test_secrets_come_from_files() -> None:
    tree = load_yaml("compose.yaml")
    assert all(found["file"].startswith("./secrets/") for found in tree["secrets"].values())
    used = {name for found in tree["services"].values() for name in found.get("secrets", ())}
    assert used == tree["secrets"].keys()
    for found in tree["services"].values():
        for name, value in found.get("environment", {}).items():
            if re.search("TOKEN|PASSWORD|SECRET", name):
                assert name.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in found["secrets"], name
    made = (DOCKER / "secrets" / "make.sh").read_text()
    assert all(name in made for name in tree["secrets"])


@pytest.mark.parametrize("name", sorted(ours()))
def test_the_command_is_one_of_lorikeets(name: str) -> None:
    command = typer.main.get_command(app)
    for word in ours()[name]["command"]:
        known = getattr(command, "commands", {})
        assert word in known
        command = known[word]


def test_the_broker_is_set_as_the_embedded_one() -> None:
    """Who grows out of `lorikeet run` into compose meets no other limits."""
    kafka = services()["kafka"]
    version = _KAFKA[0].rsplit(":", 1)[1]
    assert kafka["image"] == f"apache/kafka:{version}"
    embedded = dict(line.split("=", 1) for line in _properties(1, 2, ROOT).splitlines())
    here = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in kafka["environment"].items()
    }
    assert embedded["message.max.bytes"] == str(_MAX_MESSAGE_BYTES)
    assert {n: here.get(n) for n in embedded if n not in ADDRESSES} == {
        name: value for name, value in embedded.items() if name not in ADDRESSES
    }


def test_clients_inside_and_outside_are_sent_where_they_can_go() -> None:
    kafka = services()["kafka"]
    advertised = kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    inside = services()["ingest"]["environment"]["LORIKEET_KAFKA__BOOTSTRAP"]
    assert f"INSIDE://{inside}" in advertised
    published = kafka["ports"][0].split(":")
    assert f"HOST://localhost:{published[1]}" in advertised
    assert f"HOST://:{published[2]}" in kafka["environment"]["KAFKA_LISTENERS"]


def test_prometheus_gets_the_files_of_its_folder() -> None:
    mounted = [path.split(":")[0] for path in services()["prometheus"]["volumes"]]
    mounted += [
        path.split(":")[0] for path in services("smoke/compose.yaml")["prometheus"]["volumes"]
    ]
    for path in mounted:
        assert not path.startswith("./") or (DOCKER / path).is_file(), path
    assert set(scrape_targets()) == {"ingest", "control", "api", "worker", "gateway"}
