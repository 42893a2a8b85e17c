"""Gateways are brought to the desired state, and only by what was signed, loaded and answers right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from operations.converge_gateways import ConvergeGateways
from operations.fetch_adapter import FetchAdapter
from operations.register_adapter import RegisterAdapter, start_rollout
from operations.roll_back import RollBack
from operations.settings import ModelSettings
from schemas import lifecycle
from schemas.errors import Code
from schemas.rollouts import Stage
from schemas.telemetry import NoMeter
from serving.vllm import VllmGateway
from stores.artifacts.objects import ObjectFolder
from stores.artifacts.signing import Signer
from stores.control import outbox, registry, rollouts
from stores.control.database import Database
from tests.gateways import GatewayProcess
from tests.installation import ACTOR, NOW, database, register

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def gateways(
    tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[GatewayProcess]]:
    folder = tmp_path_factory.mktemp("gateways")
    found = [GatewayProcess(tiny_base, "m", folder / f"{number}.log") for number in range(2)]
    for process in found:
        process.start()
    yield found
    for process in found:
        process.stop()


class Installation:
    """A database, an object store, a registered adapter, and the two gateways."""

    def __init__(self, folder: Path, adapter: Path, urls: list[str]) -> None:
        self.model = ModelSettings(name="m", gateways=tuple(urls))
        self.store: Database = database(folder)
        self.objects = ObjectFolder(f"file://{folder / 'objects'}")
        self.signer = Signer(folder / "keys")
        self.folder = folder
        self._adapter = adapter
        self.stored: dict[str, Any] = {}
        self.converge = self.another("me")

    def another(self, owner: str) -> ConvergeGateways:
        """One more process that may act."""
        return ConvergeGateways(
            self.store,
            FetchAdapter(self.objects, self.signer, self.folder / "serving"),
            VllmGateway,
            owner,
            NoMeter(),
        )

    def begin(self, version: str, record: list[dict[str, Any]] | None = None) -> str:
        """Register the adapter and begin its roll-out; its name."""
        known = json.loads((self._adapter.parent / "expected.json").read_text())[:3]
        self.stored = RegisterAdapter(self.objects, self.signer).store(self._adapter, self.model)
        changes = {**self.stored, "probe": {"record": known if record is None else record}}
        found = self.store.write(lambda c: register(c, version, Stage.STAGING, **changes))
        self.store.write(
            lambda c: start_rollout(c, self.model, found, datetime.now(UTC), decided_by=ACTOR)
        )
        return found.adapter

    def __call__(self) -> bool:
        return self.converge(self.model, lambda: datetime.now(UTC))

    def details(self) -> dict[str, str]:
        seen = self.store.read(lambda c: rollouts.replicas(c, "default", "m"))
        return {replica["url"]: replica["detail"] for replica in seen}

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [e.payload for e in self.store.read(outbox.pending) if e.type == kind]


@pytest.fixture
def make(
    gateways: list[GatewayProcess], tiny_adapter: Path, tmp_path: Path
) -> Callable[[], Installation]:
    for process in gateways:
        client = VllmGateway(process.url)
        for name in client.adapters():
            client.unload(name)
    return lambda: Installation(tmp_path, tiny_adapter, [process.url for process in gateways])


def restart(process: GatewayProcess) -> None:
    process.stop()
    process.start()


def test_every_replica_loads_checks_and_follows(
    make: Callable[[], Installation], gateways: list[GatewayProcess]
) -> None:
    here = make()
    name = here.begin("1.0.0")
    assert here()
    for process in gateways:
        client = VllmGateway(process.url)
        assert name in client.adapters()
        assert client.following() == 0
    said = here.events(lifecycle.CONVERGED)
    assert [event["replicas"] for event in said] == [2]
    assert here()
    assert len(here.events(lifecycle.CONVERGED)) == 1, "said once"


def test_a_replica_that_restarts_is_brought_back(
    make: Callable[[], Installation], gateways: list[GatewayProcess]
) -> None:
    here = make()
    name = here.begin("1.0.0")
    assert here()
    restart(gateways[1])
    assert VllmGateway(gateways[1].url).adapters() == frozenset()
    assert here()
    assert name in VllmGateway(gateways[1].url).adapters()
    assert VllmGateway(gateways[1].url).following() == 0


def test_one_dead_replica_means_not_converged(
    make: Callable[[], Installation], gateways: list[GatewayProcess]
) -> None:
    gateways[1].stop()
    try:
        here = make()
        here.begin("1.0.0")
        assert not here()
        assert Code.GATEWAY_DOWN.number in here.details()[gateways[1].url]
        assert here.details()[gateways[0].url] == ""
        assert here.events(lifecycle.CONVERGED) == []
    finally:
        gateways[1].start()


@pytest.mark.parametrize("part", ["weights", "signature"])
def test_tampered_files_are_never_loaded(
    make: Callable[[], Installation], gateways: list[GatewayProcess], part: str
) -> None:
    here = make()
    name = here.begin("1.0.0")
    prefix = here.objects.key(here.stored["adapter_uri"])
    if part == "weights":
        here.objects.put(f"{prefix}/files/adapter_model.safetensors", b"evil")
    else:
        other = Signer(here.folder / "thief")
        forged = here.folder / "forged.sig"
        here.objects.fetch_folder(
            f"{prefix}/files",
            here.folder / "copy",
            json.loads(here.objects.get(f"{prefix}/manifest.json")),
        )
        other.sign(here.folder / "copy", forged)
        here.objects.put(f"{prefix}/adapter.sig", forged.read_bytes())
    assert not here()
    code = Code.DIGEST_MISMATCH if part == "weights" else Code.BAD_SIGNATURE
    assert all(code.number in detail for detail in here.details().values())
    for process in gateways:
        assert name not in VllmGateway(process.url).adapters()


def test_an_adapter_that_answers_otherwise_than_recorded_is_unloaded(
    make: Callable[[], Installation], gateways: list[GatewayProcess]
) -> None:
    """200 OK, but something else serves: the canary after loading sees it."""
    here = make()
    asked = [{"role": "user", "content": "where is order <ORDER_1> ?"}]
    record = [
        {"messages": asked, "tools": [], "text": "other", "tokens": [1, 2], "logprobs": [-9, -9]}
    ]
    name = here.begin("1.0.0", record=record)
    assert not here()
    assert all(Code.NOT_APPLIED.number in detail for detail in here.details().values())
    for process in gateways:
        assert name not in VllmGateway(process.url).adapters()


def test_only_one_process_acts_at_a_time(
    make: Callable[[], Installation], gateways: list[GatewayProcess]
) -> None:
    here = make()
    here.begin("1.0.0")
    from stores.control import leases

    def hold(connection: Connection) -> int | None:
        now = datetime.now(UTC)
        return leases.acquire(connection, "converge:default/m", "somebody", now, 60)

    assert here.store.write(hold) == 1
    assert not here()
    assert here.details() == {}, "nothing was touched"
    here.store.write(lambda c: leases.release(c, "converge:default/m", "somebody"))
    assert here()


def test_a_rollback_is_restored_within_seconds(
    make: Callable[[], Installation], gateways: list[GatewayProcess]
) -> None:
    here = make()
    here.begin("1.0.0")
    assert here()
    rollout = here.store.read(lambda c: rollouts.running(c, "default", "m"))
    assert rollout is not None
    from schemas.rollouts import RolloutState

    for state in (RolloutState.SHADOW, RolloutState.CANARY):
        rollout = here.store.write(
            lambda c: rollouts.move(c, rollout, state, NOW, ACTOR, "x", canary_at=NOW)
        )
    RollBack(here.store, NoMeter()).stop(
        rollout.id, datetime.now(UTC), actor="user:me", reason="harm"
    )
    assert here()
    event = here.events(lifecycle.ROLLED_BACK)[0]
    converged = here.events(lifecycle.CONVERGED)[-1]
    assert converged["decision_id"] == event["decision_id"]
    detected = datetime.fromisoformat(event["detected_at"])
    seconds = (datetime.fromisoformat(converged["converged_at"]) - detected).total_seconds()
    print(f"time to restore: {seconds:.3f} s")
    assert 0 <= seconds < 10
    archived = here.store.read(lambda c: registry.require(c, "default", "m", "1.0.0"))
    assert archived.stage is Stage.ARCHIVED
