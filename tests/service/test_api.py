"""The API: status, rollback, abort and convergence work while the broker is down."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
import yaml

from operations.move_rollout import Move
from processors.rollout.decide import Action
from producers.connection import KafkaConnection
from schemas import lifecycle
from service.broker import free_port
from service.demo.lifecycle import lifecycle_events
from stores.control import leases, outbox, registry, rollouts
from stores.control.database import Database
from tests import processes
from tests.installation import ACTOR, NOW, canary, database, decision

TREE: dict[str, Any] = {"models": [{"name": "m"}]}


class Api:
    """A running `lorikeet api` whose broker is not there."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        dead = f"127.0.0.1:{free_port()}"
        self.config = processes.write_config(folder, dead, **{**TREE, **changes})
        self.url = f"http://127.0.0.1:{yaml.safe_load(self.config.read_text())['api']['port']}"
        self.store: Database = database(folder / "data")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        log = self.folder / "api.log"
        self._process = processes.start("api", "--config", str(self.config), log=log, **environment)
        processes.wait_for(self.healthy, f"the API; see {log}", 30)

    def stop(self) -> None:
        if self._process is not None:
            processes.end(self._process)

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def promoted(self, version: str) -> None:
        def work(connection: Any) -> None:
            rollout = canary(connection, version)
            Move.of(connection, rollout, decision(Action.PROMOTE), NOW, ACTOR).promote()

        self.store.write(work)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = Api(tmp_path)
    made.start()
    yield made
    made.stop()


def test_status_rollback_and_abort_work_without_kafka(api: Api) -> None:
    api.promoted("1.0.0")
    api.promoted("1.1.0")
    running = api.store.write(lambda c: canary(c, "1.2.0"))
    status = httpx.get(f"{api.url}/v1/status", timeout=10).json()
    assert status["models"][0]["serves"] == "1.1.0"
    assert status["models"][0]["rollout"]["state"] == "canary"
    assert status["outbox"]["pending"] > 0
    aborted = httpx.post(f"{api.url}/v1/rollouts/{running.id}/abort", json={}, timeout=10)
    assert aborted.json() == {"state": "rolled_back", "converged": True}
    returned = httpx.post(
        f"{api.url}/v1/tenants/default/models/m/rollback", json={"reason": "x"}, timeout=10
    )
    assert returned.json() == {"to": "1.0.0", "converged": True}
    route = httpx.get(f"{api.url}/v1/tenants/default/models/m/route", timeout=10).json()
    assert route["arms"]["stable"]["adapter"].endswith("1.0.0")
    versions = httpx.get(f"{api.url}/v1/tenants/default/models/m/versions", timeout=10).json()
    aliases = {v["version"]: v["aliases"] for v in versions}
    assert aliases == {"1.0.0": ["champion", "previous"], "1.1.0": [], "1.2.0": []}


def test_the_command_line_does_the_same_without_any_process(tmp_path: Path) -> None:
    here = Api(tmp_path)
    here.promoted("1.0.0")
    running = here.store.write(lambda c: canary(c, "1.1.0"))
    options = ("--config", str(here.config))
    shown = processes.run("status", "--json", *options)
    assert shown.returncode == 0, shown.stderr
    assert '"serves": "1.0.0"' in shown.stdout
    stopped = processes.run("rollouts", "abort", running.id, *options)
    assert "rolled_back" in stopped.stdout
    returned = processes.run("models", "rollback", "m", "--reason", "drill", *options)
    assert "returns to base" in returned.stdout
    assert registry.CHAMPION
    assert here.store.read(lambda c: registry.champion(c, "default", "m")) is None


@pytest.mark.kafka
def test_events_decided_without_kafka_are_published_in_order_when_it_is_back(
    api: Api, broker: str, prefix: str
) -> None:
    """Decided by the API while its broker is down; a control worker with a broker publishes."""
    api.promoted("1.0.0")
    httpx.post(f"{api.url}/v1/tenants/default/models/m/rollback", json={}, timeout=10)
    expected = [event.type for event in api.store.read(outbox.pending)]
    (api.folder / "control").mkdir()
    config = processes.write_config(
        api.folder / "control",
        broker,
        data=str(api.folder / "data"),
        kafka={"prefix": prefix},
        **TREE,
    )
    child = processes.start("control", "--config", str(config), log=api.folder / "control.log")
    try:
        processes.wait_for(lambda: not api.store.read(outbox.pending), "the relay", 60)
    finally:
        processes.end(child)
    published = [event["type"] for event in lifecycle_events(KafkaConnection(broker), prefix)]
    assert [kind for kind in published if kind in expected] == expected
    assert published.count(lifecycle.ROLLED_BACK) == 1


def test_a_token_guards_everything_but_health_and_metrics(tmp_path: Path) -> None:
    here = Api(tmp_path)
    here.start(LORIKEET_API__TOKEN="secret-4711")
    try:
        assert httpx.get(f"{here.url}/v1/status", timeout=10).status_code == 401
        wrong = {"authorization": "Bearer secret-4712"}
        assert httpx.get(f"{here.url}/v1/status", headers=wrong, timeout=10).status_code == 401
        right = {"authorization": "Bearer secret-4711"}
        assert httpx.get(f"{here.url}/v1/status", headers=right, timeout=10).is_success
        assert httpx.get(f"{here.url}/health", timeout=10).is_success
        assert httpx.get(f"{here.url}/metrics", timeout=10).is_success
    finally:
        here.stop()
    log = (tmp_path / "api.log").read_text()
    assert "secret-4711" not in log


def test_mistakes_have_a_code_and_a_status(api: Api) -> None:
    cases = [
        ("/v1/tenants/default/models/nobody/rollback", 404, "E7601"),
        ("/v1/tenants/default/models/m/rollback", 409, "E7606"),
        ("/v1/rollouts/nothing/abort", 404, "E7603"),
        ("/v1/tenants/default/models/m/versions/9.9.9/deploy", 404, "E7602"),
        ("/v1/tenants/default/models/m/train", 400, "E7406"),
    ]
    for path, status, code in cases:
        answer = httpx.post(f"{api.url}{path}", json={}, timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
    bad = httpx.post(
        f"{api.url}/v1/tenants/default/models/m/train", json={"since": "yesterday"}, timeout=10
    )
    assert bad.status_code == 422


def test_two_processes_do_not_pull_in_two_directions(api: Api) -> None:
    """The API waits while another process holds the lease, and goes on when it ends."""
    held = api.store.write(
        lambda c: leases.acquire(
            c, "converge:default/m", "somebody", datetime.now(UTC) - timedelta(seconds=29), 30
        )
    )
    assert held == 1
    api.promoted("1.0.0")

    def converged() -> bool:
        status = httpx.get(f"{api.url}/v1/status", timeout=10).json()
        return bool(status["models"][0]["converged"])

    processes.wait_for(converged, "the API converges after the lease has ended", 30)


def test_a_body_that_json_cannot_hold_is_refused_without_a_traceback(api: Api) -> None:
    url = f"{api.url}/v1/tenants/default/models/m/train"
    for body in (b'{"a": NaN}', b"{", b'"\\ud800"', b"[]"):
        answer = httpx.post(url, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["error"] == "the request does not fit"
    assert "Traceback" not in (api.folder / "api.log").read_text()


class _Broken(BaseHTTPRequestHandler):
    """A gateway that talks nonsense."""

    calls: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.calls.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: object) -> None:
        return


def test_a_gateway_that_talks_nonsense_is_asked_again_and_again(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateways = [f"http://127.0.0.1:{server.server_port}"]
    model = {"name": "m", "gateways": gateways}
    api = Api(tmp_path, models=[model], control={"rollout_seconds": 0.2})
    try:
        api.promoted("1.0.0")
        api.start()
        processes.wait_for(lambda: len(_Broken.calls) >= 4, "four calls", 20)
        (seen,) = api.store.read(lambda c: rollouts.replicas(c, "default", "m"))
        assert "not as vLLM does" in seen["detail"]
    finally:
        api.stop()
        server.shutdown()
        server.server_close()
